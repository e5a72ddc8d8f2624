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
/// For whoever forgot their password: asks the address, says that a mail is on its way, asks the new password.
pub const RECOVER: &str = "/recover";
pub const RECOVER_SENT: &str = "/recover/sent";
pub const RECOVER_PASSWORD: &str = "/recover/password";
/// The same for whoever had the address of an account until it was changed.
pub const RECOVER_ACCOUNT: &str = "/recover/account";
pub const RECOVER_DONE: &str = "/recover/done";
/// To make an account: asks the address, says that a mail is on its way, and, behind the mailed link, the rest.
pub const SIGN_UP: &str = "/signup";
pub const SIGN_UP_SENT: &str = "/signup/sent";
pub const SIGN_UP_ACCOUNT: &str = "/signup/account";
pub const SIGN_UP_DONE: &str = "/signup/done";
/// Behind a mailed link: whether the address is theirs.
pub const VERIFY: &str = "/verify";
pub const VERIFY_SENT: &str = "/verify/sent";
pub const VERIFY_DONE: &str = "/verify/done";
/// What people come back for.
pub const ACCOUNT: &str = "/account";
/// Which of the accounts that are signed in on this browser.
pub const ACCOUNT_SWITCH: &str = "/account/switch";
pub const ACCOUNT_SESSIONS: &str = "/account/sessions";
pub const ACCOUNT_APPS: &str = "/account/apps";
pub const ACCOUNT_APP: &str = "/account/apps/{consent_id}";
pub const ACCOUNT_PASSWORD: &str = "/account/password";
pub const ACCOUNT_PROFILE: &str = "/account/profile";
pub const ACCOUNT_EMAIL: &str = "/account/email";
/// Behind a link that was mailed to a new address.
pub const ACCOUNT_EMAIL_CONFIRM: &str = "/account/email/confirm";
pub const ACCOUNT_ACTIVITY: &str = "/account/activity";
pub const ACCOUNT_EXPORT: &str = "/account/export";
pub const ACCOUNT_DELETE: &str = "/account/delete";
pub const ACCOUNT_DELETED: &str = "/account/deleted";
/// A Well-Known URL for Changing Passwords: W3C.
pub const CHANGE_PASSWORD: &str = "/.well-known/change-password";
/// What would have been mailed; only where nothing is.
pub const DEV_MAILBOX: &str = "/dev/mailbox";
pub const DEV_MAIL: &str = "/dev/mailbox/{mail_id}";
/// What our error codes mean, for developers.
pub const ERRORS: &str = "/errors";
/// Pictures of apps.
pub const LOGOS: &str = "/logos/{name}";
pub const ASSETS: &str = "/assets/{name}";

pub const LIVEZ: &str = "/livez";
pub const READYZ: &str = "/readyz";
