//! People, apps, and approvals of each kind.

use std::time::Duration;

use accounts::email::Email;
use accounts::sessions::{self, Acr, Amr, SignIn};
use accounts::users::{self, Draft};
use clients::{Client, Directory, Keys, Metadata, Recipients, Trust, records};
use db::{Database, execute};
use events::Context;
use events::changes::Watcher;
use grants::consents::{self, Confirmed};
use issuance::{Approved, Approving, Gate, Known};
use keyring::{Keyring, MasterKey, Policy};
use protocol::{
    ApprovalId, ClientId, ConsentId, FlowId, Issuer, ResponseType, Scope, SessionId, Subject, Timestamp,
};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Until when the access tokens live that are out.
pub(super) const OUT: Timestamp = Timestamp::from_secs(1_800_000_600);

pub(super) async fn gate(db: &Database) -> Gate {
    let keyring = Keyring::open(db, MasterKey::ephemeral(), Policy::default(), NOW);
    let issuer = Issuer::parse("https://id.example.com").unwrap();
    let changes = Watcher::start(db).await.unwrap();
    let directory = Directory::open(db, changes.clone()).await.unwrap();
    let keys = Keys::new(egress::Egress::new(Default::default()).unwrap());
    let keyring = keyring.await.unwrap();
    let recipients = Recipients {
        clients: directory,
        keys,
        vault: issuance::vault(&keyring),
    };
    let known = Known::open(db, changes).await.unwrap();
    Gate::new(db.clone(), keyring, recipients, known, issuer)
}

/// Two people, two apps, and approvals of each kind. Nothing in it is in another scene.
pub(super) struct Scene {
    pub(super) db: Database,
    pub(super) gate: Gate,
    pub(super) alex: Person,
    pub(super) jane: Person,
    pub(super) app: ClientId,
    pub(super) other: ClientId,
}

#[derive(Clone)]
pub(super) struct Person {
    pub(super) sub: Subject,
    pub(super) session: SessionId,
}

/// The approvals of a scene by name; of `quiet` every access token has expired.
pub(super) const APPROVALS: &[&str] = &[
    "alex app online",
    "alex app offline",
    "alex app quiet",
    "alex other online",
    "alex other offline",
    "jane app online",
    "jane app offline",
];

impl Scene {
    pub(super) async fn new(db: &Database, gate: &Gate) -> Self {
        let scene = Self {
            db: db.clone(),
            gate: gate.clone(),
            alex: person(db).await,
            jane: person(db).await,
            app: client(db).await,
            other: client(db).await,
        };
        for person in [&scene.alex, &scene.jane] {
            for client in [&scene.app, &scene.other] {
                scene.allow(person, client).await;
            }
        }
        scene
    }

    pub(super) async fn allow(&self, person: &Person, client: &ClientId) {
        let confirmed = Confirmed {
            sub: person.sub.clone(),
            client_id: client.clone(),
            client_version: 1,
            scope: Scope::default(),
            resources: Vec::new(),
            claims: Vec::new(),
            session_id: person.session.clone(),
            flow_id: FlowId::random(),
        };
        let recorded = self.db.transact(move |conn| {
            Box::pin(async move { consents::record(&confirmed, &Context::server(), conn, NOW).await })
        });
        recorded.await.unwrap();
    }

    pub(super) async fn consent(&self, person: &Person, client: &ClientId) -> ConsentId {
        let mut conn = self.db.reader().await.unwrap();
        let consent = consents::of(&person.sub, client, &mut conn).await.unwrap();
        consent.unwrap().id
    }

    pub(super) fn person(&self, name: &str) -> &Person {
        match name {
            "alex" => &self.alex,
            _ => &self.jane,
        }
    }

    pub(super) async fn approving(&self, person: &Person, client: &ClientId, offline: bool) -> Approving {
        Approving {
            flow_id: FlowId::random(),
            client_id: client.clone(),
            client_version: 1,
            client_generation: 1,
            sub: person.sub.clone(),
            known_as: person.sub.clone(),
            session_id: person.session.clone(),
            consent_id: self.consent(person, client).await,
            response_type: ResponseType::Code,
            scope: Scope::default(),
            resources: Vec::new(),
            claims: Default::default(),
            beyond: Vec::new(),
            offline,
            auth_time: NOW,
            acr: "acr".to_owned(),
            amr: Vec::new(),
            redirect_uri: "https://app.test/cb".to_owned(),
            redirect_uri_implied: false,
            code_challenge: None,
            nonce: None,
        }
    }

    pub(super) async fn approved(&self, person: &Person, client: &ClientId, offline: bool) -> ApprovalId {
        let approving = self.approving(person, client, offline).await;
        let flow = approving.flow_id.clone();
        let approved = self.gate.approve(approving, NOW).await.unwrap();
        assert!(matches!(approved, Approved::Granted(_)), "{approved:?}");
        let mut conn = self.db.reader().await.unwrap();
        let approval = grants::approvals::of_flow(&flow, &mut conn).await.unwrap();
        approval.unwrap().id
    }

    /// Writes every approval of the list; their ids, in its order.
    pub(super) async fn approve(&self) -> Vec<ApprovalId> {
        let mut ids = Vec::new();
        for name in APPROVALS {
            let words: Vec<&str> = name.split(' ').collect();
            let client = if words[1] == "app" { &self.app } else { &self.other };
            let id = self
                .approved(self.person(words[0]), client, words[2] == "offline")
                .await;
            let until = if words[2] == "quiet" { NOW - HOUR } else { OUT };
            set_access_until(&self.db, &id, until).await;
            ids.push(id);
        }
        ids
    }
}

pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);

pub(super) async fn set_access_until(db: &Database, id: &ApprovalId, until: Timestamp) {
    let id = id.clone();
    let work = db.transact(move |conn| {
        Box::pin(async move {
            let statement = "UPDATE approvals SET access_until = $2 WHERE approval_id = $1";
            execute!(
                conn,
                sqlx::query(statement).bind(id.as_str()).bind(until.as_secs())
            )
            .map_err(db::Error::from)
        })
    });
    assert_eq!(work.await.unwrap(), 1);
}

pub(super) async fn person(db: &Database) -> Person {
    let work = db.transact(|conn| {
        Box::pin(async move {
            let name = protocol::random::id().to_lowercase().replace(['-', '_'], "x");
            let draft = Draft::new(Email::parse(&format!("{name}@example.com")).unwrap());
            let user = users::insert(draft, &Context::server(), conn, NOW).await.unwrap();
            Ok::<_, db::Error>(user.sub)
        })
    });
    let sub = work.await.unwrap();
    Person {
        session: session(db, &sub).await,
        sub,
    }
}

pub(super) async fn session(db: &Database, sub: &Subject) -> SessionId {
    let sub = sub.clone();
    let work = db.transact(move |conn| {
        Box::pin(async move {
            let proof = SignIn {
                presented: None,
                device: None,
                epoch: users::by_sub(&sub, conn).await?.unwrap().epoch,
                sub,
                persistent: true,
                user_agent: String::new(),
                flow_id: None,
                flow_cookie: None,
                acr: Acr::Pwd,
                amr: vec![Amr::Pwd],
            };
            sessions::sign_in(proof, &Context::server(), conn, NOW).await
        })
    });
    work.await.unwrap().unwrap().session.session_id
}

pub(super) async fn client(db: &Database) -> ClientId {
    let client = Client::new(ClientId::random(), Trust::Trusted, Metadata::default(), NOW);
    let id = client.id.clone();
    let work = db.transact(move |conn| {
        Box::pin(async move { records::insert(&client, &Context::server(), conn).await })
    });
    work.await.unwrap();
    id
}
