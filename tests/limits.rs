//! Limits hold for the tenant they belong to, and for no other.

use crate::support::{TestGateway, Upstream, tenant};

#[tokio::test]
async fn a_tenant_at_its_limit_leaves_its_neighbour_untouched() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").per_second(1)).tenant(tenant("globex")).start().await;
    gateway.get("acme", "/").await.expect(200);
    gateway.get("acme", "/").await.expect(429).code("rate_limited");
    gateway.get("globex", "/").await.expect(200);
}
