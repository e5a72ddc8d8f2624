//! Who proves who they are by a password, for an app or for a page of ours: C068, C070.

use std::sync::Arc;

use accounts::email::Email;
use accounts::passwords::{Outcome, Password, StoredHash};
use accounts::sessions::{self, Acr, Amr, SignIn, SignedIn};
use accounts::users::{self, User};
use axum::response::Response;
use events::Context;
use http::header::{SET_COOKIE, USER_AGENT};
use pages::{Held, Lifetime, Proven, Spent};
use protocol::{ClientId, Error, FlowId, Params, Secret, Subject};
use tracing::Instrument as _;

use crate::tidings::{Tiding, vouched_for};
use crate::views::LoginFault;
use crate::{Consent, Stop, Visit};

/// Longest `User-Agent` we keep.
const MAX_USER_AGENT: usize = 256;

/// What somebody signs in to.
#[derive(Clone)]
pub(crate) struct To {
    pub(crate) flow: FlowId,
    /// The client that waits; none on the way to a page of ours.
    pub(crate) app: Option<ClientId>,
}

/// What was typed.
struct Typed {
    /// None when it is no address. Then no account can have it, so there is nobody whose existence the missing look-up
    /// could tell.
    email: Option<Email>,
    password: Password,
    /// "Keep me signed in".
    persistent: bool,
}

/// Who signed in.
pub(crate) struct Entered {
    pub(crate) signed_in: SignedIn,
    /// Of their password, as it is stored now.
    hash: Option<StoredHash>,
}

impl Consent {
    /// Checks the password and records the proof, in a task of its own: once a guess is counted, a browser that hangs up
    /// (somebody clicks twice) does not keep what was right from being given back.
    pub(crate) async fn sign_in(
        self: &Arc<Self>,
        params: &Params,
        to: To,
        by: &Context,
        visit: &Visit,
    ) -> Result<Result<Entered, LoginFault>, Stop> {
        let Some(username) = params.get("username") else {
            return Ok(Err(LoginFault::UsernameMissing));
        };
        let Some(password) = params.get("password") else {
            return Ok(Err(LoginFault::PasswordMissing));
        };
        let Ok(password) = Password::presented(&Secret::from(password)) else {
            return Ok(Err(LoginFault::Wrong));
        };

        let typed = Typed {
            email: Email::parse(username).ok(),
            password,
            persistent: params.get("remember").is_some(),
        };
        let (consent, by, visit) = (self.clone(), by.clone(), visit.clone());
        let work = async move { consent.judged(typed, to, &by, &visit).await };
        let task = tokio::spawn(work.in_current_span());
        task.await.unwrap_or_else(|panic| {
            let cause = format!("a sign-in did not run to its end: {panic}");
            Err(Error::server_error(cause).into())
        })
    }

    /// An unknown name, a wrong password and a disabled account get the same answer after the same work: one look-up, one
    /// guess taken and one hash.
    async fn judged(
        &self,
        typed: Typed,
        to: To,
        by: &Context,
        visit: &Visit,
    ) -> Result<Result<Entered, LoginFault>, Stop> {
        let Typed {
            email,
            password,
            persistent,
        } = typed;
        let user = match &email {
            Some(email) => users::by_email(email, &mut self.front.db.reader().await?).await?,
            None => None,
        };
        let whose = email.as_ref().map(|email| (email, user.as_ref()));
        let guess = match self.guesses.take(whose, by, &visit.headers, visit.now).await? {
            Ok(guess) => guess,
            Err(held) => return Ok(Err(too_many(held, user.as_ref()))),
        };
        let stored = user.as_ref().and_then(|user| user.password_hash.as_ref());
        let outcome = match self.hasher.verify(stored, password.clone()).await {
            Ok(outcome) => outcome,
            Err(overloaded) => {
                tracing::warn!(%overloaded, "sign-in refused");
                self.guesses.give_back(guess).await?;
                return Ok(Err(LoginFault::Busy));
            }
        };
        let passed =
            outcome != Outcome::Wrong && user.as_ref().is_some_and(|user| user.disabled_at.is_none());
        let Some(user) = user.as_ref().filter(|_| passed) else {
            tracing::info!("a sign-in failed");
            self.count_failure(user.map(|user| user.sub), by, visit).await?;
            return Ok(Err(LoginFault::Wrong));
        };
        let spent = Arc::new(guess.was_right());
        let proof = self.proof(user, persistent, &to, visit)?;
        let signed_in = match self.record(proof, spent.clone(), to, by, visit).await {
            Ok(Some(signed_in)) => signed_in,
            // Disabled, or given another password, since it was read.
            Ok(None) => return Ok(Err(LoginFault::Wrong)),
            Err(stop) => {
                // No fault of theirs. Where this fails as well, one stays counted.
                if let Err(error) = self.guesses.give_back_alone(spent).await {
                    tracing::warn!(%error, "a right password stays counted");
                }
                return Err(stop);
            }
        };
        // After what the person wanted, and before the browser is told of the hash that there is then.
        let renewed = match outcome {
            Outcome::RightButOutdated => self.rehash(user, password).await,
            Outcome::Right | Outcome::Wrong => None,
        };
        let hash = renewed.or_else(|| user.password_hash.clone());
        Ok(Ok(Entered { signed_in, hash }))
    }

    /// One statement, whether anybody has that name or not.
    async fn count_failure(&self, sub: Option<Subject>, by: &Context, visit: &Visit) -> Result<(), Stop> {
        let (by, now) = (by.clone(), visit.now);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move { events::sign_ins::failed(sub.as_ref(), &by, conn, now).await })
        });
        Ok(work.await?)
    }

    /// That the person proved who they are.
    fn proof(&self, user: &User, persistent: bool, to: &To, visit: &Visit) -> Result<SignIn, Error> {
        let user_agent = visit
            .headers
            .get(USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        Ok(SignIn {
            presented: self.front.cookies.browser(&visit.headers),
            device: self.front.acquaintance(&user.sub, &visit.headers)?,
            sub: user.sub.clone(),
            epoch: user.epoch,
            persistent,
            user_agent: user_agent
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(MAX_USER_AGENT)
                .collect(),
            flow_id: Some(to.flow.clone()),
            flow_cookie: self.front.cookies.flow(&visit.headers),
            acr: Acr::Pwd,
            amr: vec![Amr::Pwd],
        })
    }

    async fn record(
        &self,
        proof: SignIn,
        spent: Arc<Spent>,
        to: To,
        by: &Context,
        visit: &Visit,
    ) -> Result<Option<SignedIn>, Stop> {
        let language = self.front.shell(&visit.headers, None, &visit.id).locale().tag();
        let (by, now, tidings) = (by.clone(), visit.now, self.tidings.clone());
        let (user_agent, app) = (proof.user_agent.clone(), to.app);
        let work = self.front.db.transact(move |conn| {
            Box::pin(async move {
                let signed_in = sessions::sign_in(proof, &by, conn, now).await?;
                spent.give_back(conn).await?;
                let Some(signed_in) = signed_in else {
                    return Ok(None);
                };
                let session = &signed_in.session;
                if signed_in.came_back {
                    tidings
                        .tell(session, Tiding::CameBack, language, conn, now)
                        .await?;
                }
                if signed_in.is_new_browser {
                    let app = vouched_for(app.as_ref(), language, conn).await?;
                    let tiding = Tiding::NewBrowser { user_agent, app };
                    tidings.tell(session, tiding, language, conn, now).await?;
                }
                Ok::<_, db::Error>(Some(signed_in))
            })
        });
        Ok(work.await?)
    }

    /// Gives the browser its new cookie, and the mark that its person knew the password there.
    pub(crate) fn keep(&self, entered: &Entered, response: &mut Response, visit: &Visit) -> Result<(), Stop> {
        let signed_in = &entered.signed_in;
        let lifetime = signed_in
            .max_age
            .map_or(Lifetime::UntilBrowserCloses, Lifetime::For);
        let sub = &signed_in.session.sub;
        let proven = Proven {
            sub,
            epoch: signed_in.epoch,
            hash: entered.hash.as_ref(),
        };
        for cookie in [
            self.front.cookies.set_browser(&signed_in.cookie, lifetime),
            self.front.acquaint(&signed_in.device, proven, &visit.headers)?,
        ] {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        tracing::info!(%sub, "signed in");
        Ok(())
    }

    /// Parameters have risen since the hash was made. If this fails, the old hash stays as good as it was.
    async fn rehash(&self, user: &User, password: Password) -> Option<StoredHash> {
        let old = user.password_hash.clone()?;
        let new = self.hasher.hash(password).await.ok()?;
        let (sub, stored) = (user.sub.clone(), new.clone());
        let work = self
            .front
            .db
            .transact(move |conn| Box::pin(async move { users::rehash(&sub, &old, &stored, conn).await }));
        match work.await {
            Ok(is_stored) => is_stored.then_some(new),
            Err(error) => {
                tracing::warn!(%error, "a password could not be hashed anew");
                None
            }
        }
    }
}

/// Says in the log whose budget is spent: nobody else is told whether there is such an account.
fn too_many(held: Held, user: Option<&User>) -> LoginFault {
    match (held, user) {
        (Held::Network(_), _) => {
            tracing::info!("a sign-in was not looked at: too many from its network, or of all, have failed");
        }
        (Held::Account(_), Some(user)) => {
            tracing::info!(sub = %user.sub, "a sign-in was not looked at: too many at its account have failed");
        }
        (Held::Account(_), None) => {
            tracing::info!("a sign-in was not looked at: too many at a name that nobody has have failed")
        }
    }
    LoginFault::TooMany(held)
}
