//! R49, C069: whether answers take as long for what exists as for what does not.
//!
//! For each question two kinds of requests, both refused or both answered alike, are sent in turn, in pairs whose order is
//! thrown. Their times are compared by the two-sample Kolmogorov-Smirnov test, which sees any difference between two
//! distributions, and by their medians. The bounds on guesses and mails are as they are; every name is used only as often
//! as they let anybody, and every pair comes from a network of its own.

use std::time::{Duration, Instant};

use accounts::passwords::{Hasher, HasherSettings, Password};
use mail::{Mailbox, Way};
use protocol::opaque::{self, Kind};
use protocol::{Secret, SignUp};
use tokio::runtime::Builder;

use crate::harness::app::basic;
use crate::harness::dice::Dice;
use crate::harness::visitor::Form;
use crate::harness::wire::{Wire, post};
use crate::harness::world::{Own, PASSWORD};
use crate::harness::{App, Visitor, World};
use crate::throughput::On;

/// Of each of the two.
pub(crate) const SAMPLES: usize = 2_000;
/// Names of each kind. Each is used once, then time passes for all of them.
const NAMES: usize = 100;
const UNTIMED: usize = 20;
const LEAST_P: f64 = 0.01;
const MOST_MS: f64 = 1.0;

pub(crate) fn run(on: &On, samples: usize) -> bool {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(separations(on, samples))
}

async fn separations(on: &On, samples: usize) -> bool {
    let world = World::here_with(on.url().await, own()).await;
    let people = People::new(&world).await;
    println!(
        "\n{}: 2 x {samples} answers each, in pairs; no difference: KS p > {LEAST_P}, medians < {MOST_MS} ms apart",
        on.name
    );
    println!(
        "{:<58} {:>9} {:>9} {:>9}  {:>7}",
        "", "one", "other", "apart", "KS p"
    );
    let mut fine = true;
    for question in QUESTIONS {
        // Of two equal things one in a hundred looks separate by chance, and one in ten thousand does so twice.
        fine &= people.asked(question, samples).await.is_fine() || {
            println!("{:<58} once more", "");
            people.asked(question, samples).await.is_fine()
        };
    }
    println!("R49 {}", if fine { "PASS" } else { "FAIL" });
    fine
}

fn own() -> Own {
    Own {
        limits: Some("on"),
        proxies: Some("127.0.0.1"),
        hasher: Some(HasherSettings::default()),
        mail: Some(Way::Mailbox(Mailbox::default())),
        sign_up: Some(SignUp::Open),
        // What is done behind an answer is no part of its time.
        only_requests: true,
        ..Own::default()
    }
}

/// What is asked of both kinds, in turn.
#[derive(Clone, Copy)]
enum Question {
    SignIn,
    Unset,
    Disabled,
    SignUp,
    Reset,
    WrongSecret,
    OddSecret,
    Client,
    RefreshToken,
    AccessToken,
}

/// First those for which no time passes: the tokens are new.
const QUESTIONS: [Question; 10] = [
    Question::WrongSecret,
    Question::OddSecret,
    Question::Client,
    Question::RefreshToken,
    Question::AccessToken,
    Question::SignIn,
    Question::Unset,
    Question::Disabled,
    Question::SignUp,
    Question::Reset,
];

impl Question {
    fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in, wrong password: somebody's name / nobody's",
            Self::Unset => "sign-in: who has no password / nobody's name",
            Self::Disabled => "sign-in, right password: disabled / nobody's name",
            Self::SignUp => "sign-up: somebody's address / nobody's",
            Self::Reset => "reset: somebody's address / nobody's",
            Self::WrongSecret => "client secret: right but for the end / quite wrong",
            Self::OddSecret => "client secret: wrong / of no form of ours",
            Self::Client => "wrong client secret: a client / no client",
            Self::RefreshToken => "refresh token: right but for the end / quite wrong",
            Self::AccessToken => "token asked about: right but for the end / quite wrong",
        }
    }

    /// Where it has a form.
    fn page(self) -> Option<&'static str> {
        match self {
            Self::SignIn | Self::Unset | Self::Disabled => Some("/account"),
            Self::SignUp => Some("/signup"),
            Self::Reset => Some("/recover"),
            Self::WrongSecret | Self::OddSecret | Self::Client | Self::RefreshToken | Self::AccessToken => {
                None
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    There,
    Absent,
}

struct People<'w> {
    world: &'w World,
    known: Vec<String>,
    unset: Vec<String>,
    disabled: Vec<String>,
    unknown: Vec<String>,
    app: App,
    refresh_token: String,
    access_token: String,
}

impl<'w> People<'w> {
    async fn new(world: &'w World) -> Self {
        // At the price that every new hash has: those of the tests are cheap.
        let hasher = Hasher::start(HasherSettings::default()).expect("threads");
        let password = Password::presented(&Secret::from(PASSWORD)).expect("a password");
        let hash = hasher.hash(password).await.expect("an idle hasher");
        let (mut known, mut unset, mut disabled) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..NAMES {
            let own = hash.clone();
            let user = world.user_with(|draft| draft.password_hash = Some(own)).await;
            known.push(user.email.shown().to_owned());
            let user = world.user_with(|draft| draft.password_hash = None).await;
            unset.push(user.email.shown().to_owned());
            let own = hash.clone();
            let user = world.user_with(|draft| draft.password_hash = Some(own)).await;
            disabled.push(user.email.shown().to_owned());
            world.end(revocation::Act::DisableUser(user.sub)).await;
        }
        // As long as the others, and as random.
        let unknown = known.iter().map(|name| {
            let (local, domain) = name.split_once('@').expect("an address");
            let id = protocol::random::id().to_lowercase().replace(['-', '_'], "x");
            format!("{}@{domain}", id.repeat(3).split_at(local.len()).0)
        });
        let unknown = unknown.collect();
        let (app, user) = (world.app().await, world.user().await);
        let tokens = app
            .grant(world, &user, &[("scope", "openid offline_access")])
            .await;
        Self {
            world,
            known,
            unset,
            disabled,
            unknown,
            refresh_token: tokens.refresh().to_owned(),
            access_token: tokens.access().to_owned(),
            app,
        }
    }

    /// Sends pairs, and says how their times differ.
    async fn asked(&self, question: Question, samples: usize) -> Separation {
        let mut dice = Dice::new(samples as u64);
        let mut visitor = self.world.visitor();
        let mut form = None;
        let mut wire = Wire::connect(self.world.origin()).await.expect("a connection");
        let (mut there, mut absent, mut status) = (Vec::new(), Vec::new(), None);
        for pair in 0..samples + UNTIMED {
            if let Some(page) = question.page()
                && pair % NAMES == 0
            {
                // All that was counted is forgotten, and the form is new.
                self.world.pass(Duration::from_secs(60 * 60));
                form = Some(visitor.open(page).await.form());
            }
            let mut order = [Side::There, Side::Absent];
            if dice.one_in(2) {
                order.reverse();
            }
            for side in order {
                let request = self.request(question, side, pair, form.as_ref(), &visitor);
                let began = Instant::now();
                let answer = wire.exchange(&request).await.expect("an answer");
                let took = began.elapsed().as_secs_f64() * 1e3;
                let expected = status.get_or_insert(answer.status);
                assert_eq!(answer.status, *expected, "{}: {}", question.name(), answer.body);
                assert_ne!(answer.status.as_u16(), 429, "{}", question.name());
                if pair >= UNTIMED {
                    match side {
                        Side::There => there.push(took),
                        Side::Absent => absent.push(took),
                    }
                }
            }
        }
        let separation = Separation::of(&mut there, &mut absent);
        separation.print(question.name());
        separation
    }

    fn request(
        &self,
        question: Question,
        side: Side,
        pair: usize,
        form: Option<&Form>,
        visitor: &Visitor<'_>,
    ) -> Vec<u8> {
        let is_there = side == Side::There;
        let n = pair % NAMES;
        let name = match (question, side) {
            (_, Side::Absent) => &self.unknown[n],
            (Question::Unset, Side::There) => &self.unset[n],
            (Question::Disabled, Side::There) => &self.disabled[n],
            (_, Side::There) => &self.known[n],
        };
        if let Some(form) = form {
            let password = match question {
                Question::Disabled => PASSWORD,
                _ => "not the right password",
            };
            return filled(form, name, password, pair, visitor);
        }
        let secret = self.app.secret.as_ref().expect("a confidential app").expose();
        let wrong = || opaque::random(Kind::ClientSecret).expose().to_owned();
        let (client, secret, path, field, value) = match question {
            Question::WrongSecret => {
                let secret = if is_there {
                    spoilt(Kind::ClientSecret, secret)
                } else {
                    wrong()
                };
                (
                    self.app.id.clone(),
                    secret,
                    "/introspect",
                    "token",
                    self.access_token.clone(),
                )
            }
            Question::OddSecret => {
                let secret = if is_there {
                    wrong()
                } else {
                    "x".repeat(secret.len())
                };
                (
                    self.app.id.clone(),
                    secret,
                    "/introspect",
                    "token",
                    self.access_token.clone(),
                )
            }
            Question::Client => {
                let id = if is_there {
                    self.app.id.clone()
                } else {
                    protocol::random::id()
                };
                (id, wrong(), "/introspect", "token", self.access_token.clone())
            }
            Question::RefreshToken => {
                let token = match is_there {
                    true => spoilt(Kind::RefreshToken, &self.refresh_token),
                    false => unlike(Kind::RefreshToken, &self.refresh_token),
                };
                (
                    self.app.id.clone(),
                    secret.to_owned(),
                    "/token",
                    "refresh_token",
                    token,
                )
            }
            Question::AccessToken => {
                let token = match is_there {
                    true => spoilt(Kind::RefreshToken, &self.refresh_token),
                    false => unlike(Kind::RefreshToken, &self.refresh_token),
                };
                (
                    self.app.id.clone(),
                    secret.to_owned(),
                    "/introspect",
                    "token",
                    token,
                )
            }
            Question::SignIn | Question::Unset | Question::Disabled | Question::SignUp | Question::Reset => {
                panic!("{} has a form", question.name())
            }
        };
        let mut params = vec![(field, value.as_str())];
        if path == "/token" {
            params.push(("grant_type", "refresh_token"));
        }
        post(path, &[("authorization", &basic(&client, &secret))], &params)
    }
}

/// The form as this browser sends it, from a network of its own.
fn filled(form: &Form, name: &str, password: &str, pair: usize, visitor: &Visitor<'_>) -> Vec<u8> {
    let form = form.clone().with("username", name).with("password", password);
    let fields: Vec<(&str, &str)> = form
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let cookies: Vec<String> = visitor
        .cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let network = format!("203.0.{}.7", pair % 256);
    let headers = [
        ("origin", visitor.origin()),
        ("cookie", &cookies.join("; ")),
        ("x-forwarded-for", &network),
    ];
    post(&form.action, &headers, &fields)
}

/// The same but for its last bits, in the right form.
fn spoilt(kind: Kind, text: &str) -> String {
    let mut payload = opaque::decode(kind, text).expect("one of ours");
    if let Some(last) = payload.last_mut() {
        *last ^= 1;
    }
    opaque::encode(kind, &payload).expose().to_owned()
}

/// As long, of the same form, and of other bits.
fn unlike(kind: Kind, text: &str) -> String {
    let length = opaque::decode(kind, text).expect("one of ours").len();
    let payload: Vec<u8> = std::iter::repeat_with(|| protocol::random::bytes::<1>()[0])
        .take(length)
        .collect();
    opaque::encode(kind, &payload).expose().to_owned()
}

/// How two samples differ.
struct Separation {
    medians: [f64; 2],
    p: f64,
}

impl Separation {
    fn of(one: &mut [f64], other: &mut [f64]) -> Self {
        one.sort_by(f64::total_cmp);
        other.sort_by(f64::total_cmp);
        Self {
            medians: [one[one.len() / 2], other[other.len() / 2]],
            p: probability(distance(one, other), one.len(), other.len()),
        }
    }

    fn apart(&self) -> f64 {
        (self.medians[0] - self.medians[1]).abs()
    }

    fn is_fine(&self) -> bool {
        self.p > LEAST_P && self.apart() < MOST_MS
    }

    fn print(&self, name: &str) {
        let [one, other] = self.medians;
        println!(
            "{name:<58} {one:>6.2} ms {other:>6.2} ms {:>6.3} ms  {:>7.4}{}",
            self.apart(),
            self.p,
            if self.is_fine() { "" } else { "  SEPARATE" }
        );
    }
}

/// The largest difference between two empirical distributions, both sorted.
fn distance(one: &[f64], other: &[f64]) -> f64 {
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < one.len() && j < other.len() {
        let at = one[i].min(other[j]);
        while i < one.len() && one[i] <= at {
            i += 1;
        }
        while j < other.len() && other[j] <= at {
            j += 1;
        }
        let difference = i as f64 / one.len() as f64 - j as f64 / other.len() as f64;
        largest = largest.max(difference.abs());
    }
    largest
}

/// How probable a distance of at least this is between two samples of one distribution: Kolmogorov's limit, with the
/// correction of Stephens for samples that are not endless.
fn probability(distance: f64, one: usize, other: usize) -> f64 {
    let root = ((one * other) as f64 / (one + other) as f64).sqrt();
    let lambda = (root + 0.12 + 0.11 / root) * distance;
    if lambda < 0.2 {
        return 1.0;
    }
    let term = |n: i32| {
        let sign = if n % 2 == 1 { 1.0 } else { -1.0 };
        sign * (-2.0 * f64::from(n * n) * lambda * lambda).exp()
    };
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}
