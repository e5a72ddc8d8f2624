//! What happened with the account in the last 90 days, in words: C092 for the person.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use clients::Directory;
use events::audit::{self, Kind, Recorded, Span};
use http::{HeaderMap, StatusCode};
use pages::{Markup, Texts};
use protocol::{ClientId, Error, Params, RequestId, path};

use super::views::{Activity, Entry, Here};
use super::{Names, page, when};
use crate::Account;

const HERE: &str = path::ACCOUNT_ACTIVITY;
const SHOWN: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// On one page. Whatever fills it, wrong passwords of a stranger or changes back and forth, what it pushes away is on the
/// next.
const ON_A_PAGE: u8 = 100;

pub(crate) async fn show(
    State(account): State<Arc<Account>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let visit = account.visit(id, headers);
    let outcome = async {
        let params = Params::parse(query.as_deref().unwrap_or_default().as_bytes())?;
        let owner = account.owner(HERE, &visit).await?;
        let (shell, frame, fresh) = account.frame(Here::Activity, HERE, &owner, &visit)?;
        let mut conn = account.front.db.reader().await?;
        let span = Span {
            since: visit.now - SHOWN,
            before: params.get("before"),
            // One more says whether there is another page.
            limit: u32::from(ON_A_PAGE) + 1,
        };
        let mut events = audit::of_user(&owner.session.sub, span, &mut conn).await?;
        drop(conn);
        let is_all = events.len() <= usize::from(ON_A_PAGE);
        events.truncate(usize::from(ON_A_PAGE));
        let last = events.last().filter(|_| !is_all);
        let older = last.map(|last| account.at(HERE, &[("before", Some(&last.event_id))]));
        let (mut entries, mut names) = (Vec::new(), Names::default());
        for event in events {
            if let Some(words) = words(&event, shell.texts, &mut names, &account.clients).await? {
                entries.push(Entry {
                    words,
                    time: when::told(event.at, visit.now, shell.texts),
                    address: event.address,
                });
            }
        }
        let view = Activity {
            shell,
            frame,
            entries,
            older,
            is_newest: params.get("before").is_none(),
        };
        Ok(page(view, StatusCode::OK, fresh))
    };
    account.answered(outcome.await, &visit)
}

/// What an event means to its person; none where it means nothing to them, or this version does not know it.
async fn words(
    event: &Recorded,
    texts: Texts,
    names: &mut Names,
    clients: &Directory,
) -> Result<Option<Markup>, Error> {
    let Ok(kind) = event.kind.parse::<Kind>() else {
        return Ok(None);
    };
    let app = match &event.client_id {
        Some(id) => {
            let name = names.of(&ClientId::from(id.as_str()), texts, clients).await?;
            name.map_or_else(
                || texts.text("activity-former-app"),
                |name| Markup::isolated(&name),
            )
        }
        None => texts.text("activity-former-app"),
    };
    let app = [("app", app)];
    let failures = event.details.get("failures").and_then(serde_json::Value::as_i64);
    Ok(Some(match kind {
        Kind::SignInSucceeded => texts.text("activity-signed-in"),
        Kind::SignInFailed => match failures.unwrap_or(1) {
            ..=1 => texts.text("activity-failed-once"),
            n => texts.with("activity-failed", &[("n", Markup::plain(&n.to_string()))]),
        },
        Kind::SessionEnded => texts.text("activity-signed-out"),
        Kind::OtherSessionsEnded => texts.text("activity-signed-out-elsewhere"),
        Kind::ConsentGiven => texts.with("activity-allowed", &app),
        Kind::ConsentWithdrawn => texts.with("activity-removed", &app),
        Kind::ApprovalEnded => texts.with("activity-ended", &app),
        Kind::UserCreated => texts.text("activity-created"),
        Kind::UserUpdated => texts.text("activity-updated"),
        Kind::UserDisabled => texts.text("activity-disabled"),
        Kind::UserEnabled => texts.text("activity-enabled"),
        Kind::UserRevoked => texts.text("activity-revoked"),
        Kind::LinkMailed => texts.text("activity-link"),
        Kind::PasswordRecovered => texts.text("activity-recovered"),
        Kind::PasswordChanged => texts.text("activity-password"),
        Kind::EmailVerified => texts.text("activity-verified"),
        Kind::EmailChanged => texts.text("activity-email"),
        Kind::EmailRestored => texts.text("activity-email-restored"),
        Kind::ProfileChanged => texts.text("activity-profile"),
        Kind::DataExported => texts.text("activity-exported"),
        Kind::DeletionAsked => texts.text("activity-deletion"),
        Kind::DeletionUndone => texts.text("activity-undone"),
        // Apps give back tokens all the time; who is deleted reads nothing, nor who has no account yet; and the rest is about no person.
        Kind::TokenRevoked
        | Kind::UserDeleted
        | Kind::UserInvited
        | Kind::InvitationAccepted
        | Kind::InvitationWithdrawn
        | Kind::ClientCreated
        | Kind::ClientUpdated
        | Kind::ClientTrustSet
        | Kind::ClientSecretAdded
        | Kind::ClientSecretDeleted
        | Kind::ClientDeleted
        | Kind::InitialTokenMade
        | Kind::InitialTokenDeleted
        | Kind::ResourceCreated
        | Kind::ResourceUpdated
        | Kind::ResourceSecretAdded
        | Kind::ResourceSecretDeleted
        | Kind::ResourceDeleted
        | Kind::MasterKeyMade
        | Kind::MasterKeyRetired
        | Kind::SigningKeyPublished
        | Kind::SigningKeyWithdrawn
        | Kind::SigningKeyImported
        | Kind::SigningKeyCompromised
        | Kind::DecryptionKeyMade
        | Kind::DecryptionKeyWithdrawn
        | Kind::DecryptionKeyCompromised
        | Kind::PurposeSecretMade
        | Kind::DatabaseRestored => return Ok(None),
    }))
}
