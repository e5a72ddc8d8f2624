//! What the tests stand on: servers on every database, a person without JavaScript, a third-party app, a browser.

pub(crate) mod acts;
pub(crate) mod app;
pub(crate) mod axe;
pub(crate) mod browser;
pub(crate) mod dice;
pub(crate) mod html;
pub(crate) mod installation;
pub(crate) mod letters;
pub(crate) mod plain;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod rp;
pub(crate) mod site;
pub(crate) mod smtp;
pub(crate) mod visitor;
pub(crate) mod wall;
pub(crate) mod wire;
pub(crate) mod world;

pub(crate) use app::App;
pub(crate) use installation::Installation;
pub(crate) use letters::Letters;
pub(crate) use visitor::{Answer, Channel, Visitor};
pub(crate) use world::World;

/// One test for each way in which the server runs: on SQLite, on PostgreSQL, and as two processes on one
/// PostgreSQL with every request going to the other one than the request before.
macro_rules! everywhere {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident: World) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn scenario($world: $crate::harness::World) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                scenario($crate::harness::World::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                scenario($crate::harness::World::postgres().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_two_processes() {
                scenario($crate::harness::World::replicas().await).await;
            }
        }
    )+};
}

/// A server that sends mail, on each database; what it sends is in a mailbox in memory.
macro_rules! with_mail {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident: World, $letters:ident: Letters) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn scenario($world: $crate::harness::World, $letters: $crate::harness::Letters) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let (world, letters) = $crate::harness::letters::world(db::testing::sqlite_url()).await;
                scenario(world, letters).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                let (world, letters) = $crate::harness::letters::world(db::testing::postgres_url().await).await;
                scenario(world, letters).await;
            }
        }
    )+};
}

/// The same without the two processes: for tests that move the clock, which only a server in this process can do.
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident: World) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn scenario($world: $crate::harness::World) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                scenario($crate::harness::World::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                scenario($crate::harness::World::postgres().await).await;
            }
        }
    )+};
}
