//! What a gateway tells its operator of itself: readiness, numbers, log.

use reqwest::Method;
use serde_json::Value;

use super::eventually;
use super::gateway::TestGateway;

impl TestGateway {
    /// One part of `/readyz?verbose`, such as `fold`.
    pub async fn part(&self, name: &str) -> Value {
        self.admin(Method::GET, "/readyz?verbose", Value::Null).await.expect(200).json()[name].clone()
    }

    /// The part, once its status is this one.
    pub async fn part_that_is(&self, name: &str, status: &str) -> Value {
        let what = format!("{name} is {status}");
        eventually(&what, || async {
            let part = self.part(name).await;
            (part["status"] == status).then_some(part)
        })
        .await
    }

    /// A number of `/metrics`, by its whole name.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.admin(Method::GET, "/metrics", Value::Null).await.expect(200).text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no whole number {name} in {text}"))
    }

    /// Waits until a fold that began after now has ended, well or not.
    pub async fn another_fold(&self) {
        const FOLDS: &str = "gatehouse_fold_duration_seconds_count";
        // The one that is under way may have read the journal before.
        let wanted = self.metric(FOLDS).await + 2;
        eventually("another fold", || async { (self.metric(FOLDS).await >= wanted).then_some(()) }).await;
    }

    /// How many lines of the log contain `text`.
    pub fn lines(&self, text: &str) -> usize {
        self.log().iter().filter(|line| line.contains(text)).count()
    }
}
