//! How many numbers one account can test, asked of the running directory.

use crate::site::Site;
use anyhow::{Context, Result, ensure};
use hyper::StatusCode;

/// A country's mobile numbers.
const COUNTRY: f64 = 1e8;
const HOURS_A_YEAR: f64 = 24.0 * 365.25;

pub(crate) async fn by_one_account(site: &Site) -> Result<()> {
    let device = site.device("searcher").await?;
    // All that is granted, in requests as large as can be and then as small.
    let granted = async || {
        let mut granted = 0;
        for size in [site.points.len(), 1] {
            let points = site.points.get(..size).context("points")?;
            loop {
                let answer = device.evaluate('a', points).await;
                if answer.status == StatusCode::TOO_MANY_REQUESTS {
                    break;
                }
                granted += answer.evaluations().len();
            }
        }
        anyhow::Ok(granted)
    };
    let at_once = granted().await?;
    site.end("searcher").await?;
    site.device("searcher").await?;
    let anew = granted().await?;
    ensure!(anew == 0, "withdrawn and enrolled again, it got {anew} more");
    // An hour passes for its bucket alone.
    let database = rusqlite::Connection::open(site.directory.database())?;
    let budget = Site::budget("searcher")?;
    let hour = |hours: i64| {
        database.execute("UPDATE spent SET at = at - 3600 * ?1 WHERE budget = ?2", rusqlite::params![hours, budget])
    };
    let mut hours = Vec::new();
    for _ in 0..3 {
        ensure!(hour(1)? == 1, "it has spent nothing");
        hours.push(granted().await?);
    }
    ensure!(hours == [4, 4, 4], "an hour gave it {hours:?}");
    hour(24)?;
    let day = granted().await?;
    ensure!((at_once, day) == (1000, 96), "at once {at_once}, in a day {day}");
    println!(
        "one account may test {at_once} numbers at once, {anew} more when it withdraws and enrols again, then {hours:?} in the next hours, {day} in a day"
    );
    let (at_once, day) = (at_once as f64, day as f64);
    println!(
        "10⁸ numbers take one account {:.0} years; {:.0} accounts a day; {:.0} accounts at once",
        (COUNTRY - at_once) / day * 24.0 / HOURS_A_YEAR,
        COUNTRY / (at_once + day),
        COUNTRY / at_once
    );
    Ok(())
}
