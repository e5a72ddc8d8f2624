//! Which response types a client is given by command: those that the server's setting admits. A record that says more
//! would not be true, and its developer would find out at the first sign-in.
//!
//! What a client was given while the setting was another stays with it: it can be read, and changed in everything else.

use clients::Metadata;
use protocol::{ResponseType, ResponseTypes};

use crate::cli::failure::Failure;
use crate::settings::Name;

/// # Errors
/// When the client would have a response type that is not admitted, and had not before.
pub(super) fn check(new: &Metadata, old: Option<&Metadata>, admitted: ResponseTypes) -> Result<(), Failure> {
    let had = |own: &ResponseType| old.is_some_and(|old| old.response_types.contains(own));
    let more = new
        .response_types
        .iter()
        .find(|own| !admitted.admitted().contains(own) && !had(own));
    match more {
        None => Ok(()),
        Some(own) => Err(Failure::from(format!(
            "response_types: {own} is not admitted while {} is {admitted}: set it to {}, for the server too, or \
             register code alone",
            Name::ResponseTypes.variable(),
            ResponseTypes::All,
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_has_it_keeps_and_what_it_has_not_needs_the_setting() {
        let with = |types: &[ResponseType]| Metadata {
            response_types: types.to_vec(),
            ..Metadata::default()
        };
        let (code, implicit) = (with(&[ResponseType::Code]), with(&[ResponseType::IdToken]));
        let both = with(&[ResponseType::Code, ResponseType::IdToken]);
        for (new, old, good) in [
            (&code, None, true),
            (&implicit, None, false),
            (&both, None, false),
            (&both, Some(&code), false),
            (&both, Some(&implicit), true),
            (&code, Some(&both), true),
        ] {
            assert_eq!(check(new, old, ResponseTypes::Code).is_ok(), good);
            assert!(check(new, old, ResponseTypes::All).is_ok());
        }
        let failure = check(&implicit, None, ResponseTypes::Code).unwrap_err();
        let [line] = failure.lines() else {
            panic!("{failure:?}")
        };
        assert!(line.starts_with("response_types: id_token is"), "{line}");
        assert!(line.contains("COUNTERSIGN_RESPONSE_TYPES is code"), "{line}");
    }
}
