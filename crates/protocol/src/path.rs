//! Every path of the stable contract. All of them live under the path of the issuer.

pub const AUTHORIZE: &str = "/authorize";
pub const TOKEN: &str = "/token";
pub const USERINFO: &str = "/userinfo";
pub const INTROSPECTION: &str = "/introspect";
pub const REVOCATION: &str = "/revoke";
pub const REGISTER: &str = "/register";
/// The client configuration endpoint: RFC 7592 §2.
pub const REGISTERED: &str = "/register/{client_id}";
/// RFC 9126 §2.
pub const PAR: &str = "/par";
/// The feed of what resource servers must stop accepting.
pub const REVOCATIONS: &str = "/revocations";
pub const JWKS: &str = "/jwks";
pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
pub const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";

pub const LOGIN: &str = "/login";
pub const CONSENT: &str = "/consent";
pub const LOGOUT: &str = "/logout";
pub const LOGOUT_CONFIRM: &str = "/logout/confirm";
/// Pictures of apps.
pub const LOGOS: &str = "/logos/{name}";
pub const ASSETS: &str = "/assets/{name}";

pub const LIVEZ: &str = "/livez";
pub const READYZ: &str = "/readyz";
