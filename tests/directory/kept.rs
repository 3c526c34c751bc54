//! What a directory keeps its accounts in: each test of that is run for both.

use shunt_kit::Postgres;
use shunt_kit::directory::FILE;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    InAFile,
    InPostgresql,
}

impl Kept {
    /// A new one, as the configuration names it.
    pub(super) async fn database(self) -> String {
        match self {
            Self::InAFile => FILE.into(),
            Self::InPostgresql => Postgres::shared().await.unwrap().database().await.unwrap(),
        }
    }
}

/// Two tests of each of these functions.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            use crate::kept::Kept;

            #[tokio::test]
            async fn in_a_file() {
                super::$test(Kept::InAFile).await;
            }

            #[tokio::test]
            async fn in_postgresql() {
                super::$test(Kept::InPostgresql).await;
            }
        }
    )*};
}
pub(super) use on_both;
