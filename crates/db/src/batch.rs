//! Group commit: a task takes what has queued and runs it as one transaction of a few set statements.
//!
//! A transaction per request is bound by the disk's flush; a batch shares one. No timer holds anyone back:
//! batches arise because commands queue while the batch before them commits. Everyone is answered after the
//! commit. A row is touched once per batch: a command for a key that is taken waits for the next batch, unless
//! it shares the answer of the one that is in it. What only reads can be batched as well: a statement costs its
//! way to the database and back more than its rows.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::transact::{BoxFuture, Lane};
use crate::{Conn, Database, Error, Result};

/// Commands of one batch; more would hold the writer for too long.
const MAX_BATCH: usize = 256;
/// Commands that may wait, in all queues of a kind. Beyond that the answer is "come back", which costs nobody memory.
const MAX_QUEUE: usize = 8192;

/// What the commands of a kind do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// A kind of batch.
pub trait Batch: 'static {
    const ACCESS: Access;

    type Command: Clone + Send + Sync + 'static;
    type Answer: Clone + Send + 'static;

    /// The row that a command is about.
    fn key(command: &Self::Command) -> &str;

    /// Whether the answer to `first` is the answer to `later` as well.
    fn shares(first: &Self::Command, later: &Self::Command) -> bool;

    /// Runs commands of different keys, if they write in the transaction that is open; one answer each, in their
    /// order.
    fn run<'c>(commands: &'c [Self::Command], conn: &'c mut Conn)
    -> BoxFuture<'c, Result<Vec<Self::Answer>>>;
}

/// Takes commands of one kind of batch.
#[derive(Debug)]
pub struct Batcher<B: Batch>(Arc<Queues<B>>);

/// Commands for one key are always in the same queue.
#[derive(Debug)]
struct Queues<B: Batch> {
    queues: Vec<mpsc::Sender<Queued<B>>>,
    hasher: RandomState,
}

impl<B: Batch> Clone for Batcher<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

type Reply<B> = oneshot::Sender<Result<<B as Batch>::Answer>>;

struct Queued<B: Batch> {
    command: B::Command,
    reply: Reply<B>,
}

/// A command in a batch, with all who share its answer.
struct Taken<B: Batch> {
    command: B::Command,
    replies: Vec<Reply<B>>,
}

impl<B: Batch> Batcher<B> {
    /// Starts the tasks that write. They end when the last clone is dropped, after what is queued is done.
    pub fn start(db: Database) -> Self {
        let count = db.batches_at_once();
        let start = |_| {
            let (queue, waiting) = mpsc::channel(MAX_QUEUE / count);
            tokio::spawn(write::<B>(db.clone(), waiting));
            queue
        };
        Self(Arc::new(Queues {
            queues: (0..count).map(start).collect(),
            hasher: RandomState::new(),
        }))
    }

    /// Has a command carried out; the answer comes after its commit. Whoever stops waiting changes nothing.
    ///
    /// # Errors
    /// [`Error::Overloaded`], at once, when too many are waiting; the database's failures.
    pub async fn submit(&self, command: B::Command) -> Result<B::Answer> {
        let (reply, answer) = oneshot::channel();
        self.0
            .of(B::key(&command))
            .ok_or(Error::Overloaded)?
            .try_send(Queued { command, reply })
            .map_err(|_| Error::Overloaded)?;
        answer.await.map_err(|_| Error::Overloaded)?
    }
}

impl<B: Batch> Queues<B> {
    fn of(&self, key: &str) -> Option<&mpsc::Sender<Queued<B>>> {
        let hash = usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or_default();
        self.queues.get(hash.checked_rem(self.queues.len())?)
    }
}

async fn write<B: Batch>(db: Database, mut waiting: mpsc::Receiver<Queued<B>>) {
    let mut deferred: VecDeque<Queued<B>> = VecDeque::new();
    let mut arrived = Vec::with_capacity(MAX_BATCH);
    loop {
        if deferred.is_empty() {
            if waiting.recv_many(&mut arrived, MAX_BATCH).await == 0 {
                return;
            }
        } else {
            while arrived.len() + deferred.len() < MAX_BATCH {
                let Ok(queued) = waiting.try_recv() else { break };
                arrived.push(queued);
            }
        }
        deferred.extend(arrived.drain(..));
        let batch = take(&mut deferred);
        carry_out(&db, batch).await;
    }
}

/// The next batch: of each key the first command and those that share its answer. The others stay, in order.
fn take<B: Batch>(deferred: &mut VecDeque<Queued<B>>) -> Vec<Taken<B>> {
    let mut taken: Vec<Taken<B>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut rest = VecDeque::new();
    for queued in deferred.drain(..) {
        let key = B::key(&queued.command);
        match places.get(key).and_then(|place| taken.get_mut(*place)) {
            None => {
                places.insert(key.to_owned(), taken.len());
                taken.push(Taken {
                    command: queued.command,
                    replies: vec![queued.reply],
                });
            }
            Some(first) if B::shares(&first.command, &queued.command) => first.replies.push(queued.reply),
            Some(_) => rest.push_back(queued),
        }
    }
    *deferred = rest;
    taken
}

/// One transaction for all; if it fails, one for each, so that a poisoned command hurts only itself.
async fn carry_out<B: Batch>(db: &Database, batch: Vec<Taken<B>>) {
    let commands: Vec<B::Command> = batch.iter().map(|taken| taken.command.clone()).collect();
    match run::<B>(db, commands).await {
        Ok(answers) => {
            for (taken, answer) in batch.into_iter().zip(answers) {
                answer_all::<B>(taken.replies, Ok(answer));
            }
        }
        // Alone it could be no different; and where the database is away, each would wait for it in turn.
        Err(error) if batch.len() == 1 || error.concerns_all() => {
            for taken in batch {
                fail_all::<B>(taken.replies, &error);
            }
        }
        Err(error) => {
            tracing::warn!(%error, commands = batch.len(), "a batch failed and is run one by one");
            for taken in batch {
                match run::<B>(db, vec![taken.command]).await {
                    Ok(mut answers) => match answers.pop() {
                        Some(answer) => answer_all::<B>(taken.replies, Ok(answer)),
                        None => {
                            fail_all::<B>(taken.replies, &Error::Setup("a command got no answer".to_owned()))
                        }
                    },
                    Err(error) => fail_all::<B>(taken.replies, &error),
                }
            }
        }
    }
}

async fn run<B: Batch>(db: &Database, commands: Vec<B::Command>) -> Result<Vec<B::Answer>> {
    let expected = commands.len();
    let answers = match B::ACCESS {
        Access::Write => {
            let done = db.transact_by(Lane::Batches, move |conn| {
                Box::pin(async move { B::run(&commands, conn).await })
            });
            done.await?
        }
        Access::Read => read::<B>(db, commands).await?,
    };
    match answers.len() == expected {
        true => Ok(answers),
        false => Err(Error::Setup(
            "a batch has not as many answers as commands".to_owned(),
        )),
    }
}

/// In a task of its own, so that a panic does not end the batches that follow.
async fn read<B: Batch>(db: &Database, commands: Vec<B::Command>) -> Result<Vec<B::Answer>> {
    let db = db.clone();
    let reading = tokio::spawn(async move {
        let mut conn = db.batch_reader().await?;
        B::run(&commands, &mut conn).await
    });
    let read = reading.await;
    read.map_err(|panic| Error::Setup(format!("a reading did not run to its end: {panic}")))?
}

fn answer_all<B: Batch>(replies: Vec<Reply<B>>, answer: Result<B::Answer>) {
    let Ok(answer) = answer else { return };
    for reply in replies {
        // Who has gone needs no answer; what was asked is done.
        let _ = reply.send(Ok(answer.clone()));
    }
}

fn fail_all<B: Batch>(replies: Vec<Reply<B>>, error: &Error) {
    for reply in replies {
        let _ = reply.send(Err(error.again()));
    }
}

/// The rows of a [`set!`](crate::set) statement, as the JSON array that it takes; `None` when there are none.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn rows<R: serde::Serialize>(rows: impl Iterator<Item = R>) -> Result<Option<String>> {
    let rows: Vec<R> = rows.collect();
    if rows.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(&rows).map(Some).map_err(Error::corrupt)
}

/// A statement over a set of rows, which comes as one JSON array of objects in `$1` and is called `s`: in the
/// form that SQLite knows, and in PostgreSQL's.
///
/// ```text
/// const CLAIM: (&str, &str) = set!("UPDATE codes SET claimed_at = s.now FROM ", (id text, now bigint), " WHERE …");
/// ```
#[macro_export]
macro_rules! set {
    ($before:literal, ($first:ident $first_kind:ident $(, $column:ident $kind:ident)* $(,)?), $after:expr) => {
        (
            concat!(
                $before, "(SELECT value->>'$.", stringify!($first), "' AS ", stringify!($first)
                $(, ", value->>'$.", stringify!($column), "' AS ", stringify!($column))*,
                " FROM json_each($1)) AS s", $after
            ),
            concat!(
                $before, "json_to_recordset($1::json) AS s(", stringify!($first), " ", stringify!($first_kind)
                $(, ", ", stringify!($column), " ", stringify!($kind))*,
                ")", $after
            ),
        )
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::both;
    use crate::{execute, run};

    /// Adds to counters; a negative amount is poison.
    #[derive(Debug)]
    struct Adding;

    #[derive(Debug, Clone)]
    struct Add {
        id: String,
        amount: i64,
    }

    const ADD: (&str, &str) = crate::set!(
        "UPDATE counters SET n = n + s.amount FROM ",
        (id text, amount bigint),
        " WHERE counters.id = s.id RETURNING counters.id, n"
    );

    impl Batch for Adding {
        const ACCESS: Access = Access::Write;
        type Command = Add;
        type Answer = Option<i64>;

        fn key(command: &Add) -> &str {
            &command.id
        }

        fn shares(_: &Add, _: &Add) -> bool {
            false
        }

        fn run<'c>(commands: &'c [Add], conn: &'c mut Conn) -> BoxFuture<'c, Result<Vec<Option<i64>>>> {
            Box::pin(async move {
                let rows: Vec<_> = commands
                    .iter()
                    .map(|add| json!({ "id": add.id, "amount": add.amount }))
                    .collect();
                let rows = serde_json::Value::from(rows).to_string();
                let statement = conn.either(ADD.0, ADD.1);
                let added: Vec<(String, i64)> =
                    run!(conn, |c| sqlx::query_as(statement).bind(&rows).fetch_all(c))?;
                if commands.iter().any(|add| add.amount < 0) {
                    return Err(Error::corrupt("poison"));
                }
                let of = |add: &Add| added.iter().find(|(id, _)| *id == add.id).map(|(_, n)| *n);
                Ok(commands.iter().map(of).collect())
            })
        }
    }

    async fn counters(db: &Database) {
        let made = db.transact(|conn| {
            Box::pin(async move {
                execute!(
                    conn,
                    sqlx::query("CREATE TABLE counters (id TEXT PRIMARY KEY, n BIGINT NOT NULL)")
                )?;
                execute!(
                    conn,
                    sqlx::query("INSERT INTO counters VALUES ('a', 0), ('b', 0)")
                )?;
                Ok::<_, Error>(())
            })
        });
        made.await.unwrap();
    }

    fn add(id: &str, amount: i64) -> Add {
        Add {
            id: id.to_owned(),
            amount,
        }
    }

    #[tokio::test]
    async fn commands_for_one_row_are_carried_out_one_after_the_other() {
        both(|db| async move {
            counters(&db).await;
            let batcher = Batcher::<Adding>::start(db);
            let tasks: Vec<_> = (0..500)
                .map(|n| {
                    let batcher = batcher.clone();
                    tokio::spawn(
                        async move { batcher.submit(add(if n % 5 == 0 { "b" } else { "a" }, 1)).await },
                    )
                })
                .collect();
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.unwrap().unwrap().unwrap());
            }
            answers.sort_unstable();
            let mut expected: Vec<i64> = (1..=400).chain(1..=100).collect();
            expected.sort_unstable();
            assert_eq!(answers, expected);
            assert_eq!(batcher.submit(add("none", 1)).await.unwrap(), None);
        })
        .await;
    }

    #[tokio::test]
    async fn c075_a_full_queue_says_so_at_once_and_what_is_in_it_is_done() {
        const TOO_MANY: usize = 1_000;
        // Where there are two queues, keys fall on them unevenly.
        const UNEVEN: usize = 500;
        both(|db| async move {
            counters(&db).await;
            let batcher = Batcher::<Adding>::start(db);
            let tasks: Vec<_> = (0..MAX_QUEUE + TOO_MANY)
                .map(|n| {
                    let batcher = batcher.clone();
                    tokio::spawn(async move { batcher.submit(add(&n.to_string(), 1)).await })
                })
                .collect();
            let mut refused = 0;
            for task in tasks {
                match task.await.unwrap() {
                    Ok(answer) => assert_eq!(answer, None),
                    Err(Error::Overloaded) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(
                (1..=TOO_MANY + UNEVEN).contains(&refused),
                "{refused} were refused"
            );
            let busy = protocol::Error::from(Error::Overloaded);
            assert_eq!(busy.status(), 503);
            assert_eq!(
                batcher.submit(add("a", 1)).await.unwrap(),
                Some(1),
                "there is room again"
            );
        })
        .await;
    }

    #[tokio::test]
    async fn a_poisoned_command_hurts_only_itself() {
        both(|db| async move {
            counters(&db).await;
            let batcher = Batcher::<Adding>::start(db);
            let (good, bad) = tokio::join!(batcher.submit(add("a", 2)), batcher.submit(add("b", -1)));
            assert_eq!(good.unwrap(), Some(2));
            assert!(matches!(bad, Err(Error::Corrupt(_))), "{bad:?}");
            assert_eq!(
                batcher.submit(add("b", 1)).await.unwrap(),
                Some(1),
                "the poison was rolled back"
            );
        })
        .await;
    }
}
