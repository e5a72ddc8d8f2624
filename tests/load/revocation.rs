//! D6: how long after an act was answered a resource server still accepts a token that it ended.
//!
//! Fifty verifiers, each with its own keys, its own set and its own connection to the feed. The servers are the
//! binary, in processes of their own; between them and the verifiers stands a balancer, which can cut what is open.
//! The clock runs from the answer to whoever revokes (for a command, from its end) to the last time that each
//! verifier said yes. Each is asked about the token a thousand times a second.

use std::time::{Duration, Instant};

use protocol::SigningAlg;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use verifier::{Credentials, Error, FeedState, LostFeed, Verifier};

use crate::balancer::Balancer;
use crate::harness::app::{App, Tokens};
use crate::harness::process::{Process, free_port};
use crate::harness::visitor::Visitor;
use crate::harness::{Installation, World};
use crate::throughput::On;

const SERVERS: usize = 50;
/// Of each kind of act.
const ROUNDS: usize = 15;
const AIM: Duration = Duration::from_millis(100);
/// Nobody may accept the token for longer.
const BOUND: Duration = Duration::from_secs(1);
/// Whoever accepts for so long is not asked any more.
const GIVEN_UP: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(1);

/// How a token is ended.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// `/revoke` with the refresh token: the approval ends.
    RefreshToken,
    /// `/revoke` with the access token itself.
    AccessToken,
    /// The person signs out, on the page that asks.
    Page,
    /// `countersign user revoke`, a process of its own.
    CommandLine,
}

const ACTS: [Act; 4] = [Act::RefreshToken, Act::AccessToken, Act::Page, Act::CommandLine];

/// What goes wrong in the moment before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Nothing,
    StreamsCut,
    ReplicaKilled,
}

struct Scene<'s> {
    installation: &'s Installation,
    world: &'s World,
    balancer: Balancer,
    ports: Vec<u16>,
    replicas: Vec<Option<Process>>,
    app: App,
    api: protocol::Scope,
    audience: String,
    verifiers: Vec<Verifier>,
}

pub(crate) fn run(on: &On) -> bool {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let troubles: &[Trouble] = match on.postgres {
        true => &[Trouble::Nothing, Trouble::StreamsCut, Trouble::ReplicaKilled],
        false => &[Trouble::Nothing, Trouble::StreamsCut],
    };
    runtime.block_on(measure(on, troubles))
}

async fn measure(on: &On, troubles: &[Trouble]) -> bool {
    let installation = Installation::on(on.url().await);
    let ports: Vec<u16> = (0..1 + usize::from(on.postgres)).map(|_| free_port()).collect();
    let mut replicas = Vec::new();
    for port in &ports {
        replicas.push(Some(installation.start_at(*port).await));
    }
    let balancer = Balancer::before(&ports, installation.port).await;
    // People and apps ask the replica that lives on, past the balancer.
    let lives_on = ports.last().expect("a replica");
    let past_it = format!("http://127.0.0.1:{lives_on}");
    let world = World::beside_at(&installation.issuer, past_it, &installation.database).await;
    let mut scene = Scene::set(&installation, &world, balancer, ports, replicas).await;
    println!(
        "\n{}, {} process{}: from the answer to the last request accepted, at {SERVERS} resource servers\n\
         (what they do while the feed is lost: FailOpen; aim: p99 under {} ms, none accepted after {} s)",
        on.name,
        scene.replicas.len(),
        if on.postgres { "es" } else { "" },
        AIM.as_millis(),
        BOUND.as_secs(),
    );
    println!(
        "{:<44} {:>9} {:>9} {:>9} {:>14}",
        "", "p50", "p99", "max", "after 1 s"
    );
    let mut fine = true;
    for trouble in troubles {
        for act in ACTS {
            let mut delays = Vec::new();
            for _ in 0..ROUNDS {
                delays.extend(scene.round(act, *trouble).await);
            }
            fine &= report(act, *trouble, delays);
        }
    }
    fine
}

fn report(act: Act, trouble: Trouble, mut delays: Vec<Duration>) -> bool {
    delays.sort_unstable();
    let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
    let late = delays.iter().filter(|delay| **delay > BOUND).count();
    let fine = late == 0 && (trouble != Trouble::Nothing || at(99) <= AIM * 2);
    let before = match trouble {
        Trouble::Nothing => "",
        Trouble::StreamsCut => ", streams cut",
        Trouble::ReplicaKilled => ", a replica killed",
    };
    let name = match act {
        Act::RefreshToken => "/revoke, refresh token",
        Act::AccessToken => "/revoke, access token",
        Act::Page => "sign-out page",
        Act::CommandLine => "countersign user revoke",
    };
    println!(
        "{:<44} {:>6.1} ms {:>6.1} ms {:>6.1} ms {late:>6} of {:>4}{}",
        format!("{name}{before}"),
        millis(at(50)),
        millis(at(99)),
        millis(at(100)),
        delays.len(),
        if fine { "" } else { "  FAILED" }
    );
    fine
}

impl<'s> Scene<'s> {
    async fn set(
        installation: &'s Installation,
        world: &'s World,
        balancer: Balancer,
        ports: Vec<u16>,
        replicas: Vec<Option<Process>>,
    ) -> Self {
        let (app, api) = (world.app().await, world.resource(SigningAlg::Es256).await);
        let asking = world.asking(&api).await;
        let secret = asking.secret.expect("a secret");
        let mut verifiers = Vec::new();
        for _ in 0..SERVERS {
            let verifier = Verifier::discover(&installation.issuer)
                .audience(&api.identifier)
                .revocation_feed(Credentials::basic(&asking.id, secret.expose()))
                .when_feed_is_lost(LostFeed::FailOpen)
                .await;
            verifiers.push(verifier.expect("a verifier"));
        }
        Self {
            installation,
            world,
            balancer,
            ports,
            replicas,
            app,
            api: protocol::Scope::parse(api.scopes.keys().next().expect("a scope")).expect("a scope"),
            audience: api.identifier,
            verifiers,
        }
    }

    /// How long each verifier went on, once the act was answered.
    async fn round(&mut self, act: Act, trouble: Trouble) -> Vec<Duration> {
        self.connected().await;
        let user = self.world.user().await;
        let openid = match act {
            // What lives without a session survives its end.
            Act::Page => "openid",
            Act::RefreshToken | Act::AccessToken | Act::CommandLine => "openid offline_access",
        };
        let scope = format!("{openid} {}", self.api);
        let changes = [("scope", scope.as_str()), ("resource", self.audience.as_str())];
        let (visitor, tokens) = self.app.sign_in(self.world, &user, &changes).await;
        let page = Confirm::open(act, visitor).await;

        let mut asked = JoinSet::new();
        for verifier in &self.verifiers {
            let (verifier, token) = (verifier.clone(), tokens.access().to_owned());
            verifier.verify(&token).await.expect("a good token");
            asked.spawn(async move { timeout(GIVEN_UP, last_yes(verifier, token)).await });
        }
        sleep(GLANCE * 20).await;
        match trouble {
            Trouble::Nothing => {}
            Trouble::StreamsCut => self.balancer.cut(),
            Trouble::ReplicaKilled => self.replicas[0].take().expect("it lives").kill_dash_nine(),
        }
        self.act(act, &tokens, user.sub.as_str(), page).await;
        let answered = Instant::now();
        let mut delays = Vec::new();
        while let Some(outcome) = asked.join_next().await {
            let last = outcome.expect("no panic");
            delays.push(last.map_or(GIVEN_UP, |last| last.saturating_duration_since(answered)));
        }
        for (port, replica) in self.ports.iter().zip(&mut self.replicas) {
            if replica.is_none() {
                *replica = Some(self.installation.start_at(*port).await);
            }
        }
        delays
    }

    async fn act(&self, act: Act, tokens: &Tokens, sub: &str, page: Option<Confirm<'_>>) {
        let revoke = async |token: &str| {
            let params = vec![("token", token.to_owned())];
            let answer = self.app.call(self.world, "/revoke", params).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        };
        match (act, page) {
            (Act::RefreshToken, _) => revoke(tokens.refresh()).await,
            (Act::AccessToken, _) => revoke(tokens.access()).await,
            (Act::Page, Some(page)) => page.say_yes().await,
            (Act::Page, None) => panic!("the page was opened before"),
            (Act::CommandLine, _) => {
                let ended = self.installation.run(&["user", "revoke", sub]).await;
                assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            }
        }
    }

    /// Waits until every verifier hears of revocations again.
    async fn connected(&self) {
        let all = async {
            for verifier in &self.verifiers {
                let connected = || {
                    let feed = verifier.feed().expect("a feed");
                    matches!(feed.state, FeedState::Connected { .. })
                };
                while !connected() {
                    sleep(GLANCE * 10).await;
                }
            }
        };
        timeout(Duration::from_secs(60), all)
            .await
            .expect("the feed comes back");
    }
}

/// The page that asks whether to sign out, in the browser of the person.
struct Confirm<'w> {
    visitor: Visitor<'w>,
    page: crate::harness::Answer,
}

impl<'w> Confirm<'w> {
    async fn open(act: Act, mut visitor: Visitor<'w>) -> Option<Self> {
        match act {
            Act::Page => {
                let page = visitor.open("/logout").await;
                Some(Self { visitor, page })
            }
            Act::RefreshToken | Act::AccessToken | Act::CommandLine => None,
        }
    }

    async fn say_yes(mut self) {
        let answer = self.visitor.decide(&self.page, "sign-out").await;
        assert!(answer.has("Signed out"), "{}", answer.body);
    }
}

/// When this verifier accepted the token for the last time.
async fn last_yes(verifier: Verifier, token: String) -> Instant {
    let mut last = Instant::now();
    loop {
        match verifier.verify(&token).await {
            Ok(_) => last = Instant::now(),
            Err(Error::Revoked) => return last,
            Err(error) => panic!("{error}"),
        }
        sleep(GLANCE).await;
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
