//! The wire: parameters, requests, responses, error codes, scopes, PKCE, secrets and time.
//!
//! Everything here is pure. It may speak HTTP types, it does no I/O.

pub mod access_token;
pub mod claims_request;
pub mod client_address;
pub mod client_certificate;
pub mod confirmation;
mod defects;
pub mod delivery;
pub mod error;
pub mod form;
pub mod id;
pub mod issuer;
pub mod opaque;
pub mod params;
pub mod path;
pub mod pkce;
pub mod random;
pub mod redirect_uri;
pub mod request_id;
pub mod routes;
pub mod scope;
pub mod secret;
pub mod time;
mod wire_enum;

pub mod oauth;

/// Whose server this is, to people.
pub const BRAND: &str = "Countersign";

pub use claims_request::{Asked, ClaimsRequest};
pub use client_address::ClientAddress;
pub use client_certificate::ClientCertificate;
pub use confirmation::Confirmation;
pub use defects::{defect, spoilt};
pub use error::{Error, ErrorCode};
pub use id::{ApprovalId, BrowserId, ClientId, ConsentId, FamilyId, FlowId, Jti, SessionId, Subject};
pub use issuer::Issuer;
pub use oauth::{
    ApplicationType, ClientAlg, ClientAuthMethod, ClientCertificates, GrantType, JweAlg, JweEnc, Prompt,
    PushedRequests, ResponseMode, ResponseType, ResponseTypes, SignUp, SigningAlg, SigningAlgs, SubjectType,
};
pub use params::Params;
pub use redirect_uri::RedirectUri;
pub use request_id::RequestId;
pub use routes::{Answers, Route, Routes};
pub use scope::Scope;
pub use secret::Secret;
pub use time::{Clock, Timestamp};
