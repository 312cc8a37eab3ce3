//! What the demo prints: URLs and `curl` lines that work as printed.

use std::path::Path;

use crate::app::Addresses;
use crate::model::Host;

/// The whole text.
pub(super) fn text(addresses: &Addresses, base_domain: &Host, ca: &Path, key: &str) -> String {
    let https = addresses.https.map_or(0, |https| https.port());
    let (admin, ca) = (addresses.admin, ca.display());
    let site = |slug: &str| format!("https://{slug}.{base_domain}:{https}");
    let (acme, globex, initech) = (site("acme"), site("globex"), site("initech"));
    let json = "-H 'Content-Type: application/json'";
    format!(
        "
Gatehouse demo: a small app that knows nothing of tenants, behind a gateway that gives it two.

  acme (pro)     {acme}
  globex (free)  {globex}
  admin API      http://{admin}/docs

1. The same app, two tenants. It is told whose request it is:

   curl --cacert {ca} {acme}/whoami
   curl --cacert {ca} {globex}/whoami

2. Nobody becomes another tenant (403 tenant_mismatch):

   curl --cacert {ca} {acme}/whoami -H 'X-Tenant-Id: globex'

3. The free plan's rate holds, for globex alone (429 after about ten; acme goes on):

   curl -s -o /dev/null -w '%{{http_code}} ' --cacert {ca} '{globex}/?[1-15]'; echo
   curl --cacert {ca} {acme}/whoami

4. Every call was counted:

   curl http://{admin}/admin/tenants/acme/usage
   curl --cacert {ca} {acme}/api/usage -H 'Authorization: Bearer {key}'

5. A tenant is suspended within one request, and served again:

   curl -X POST http://{admin}/admin/tenants/globex/suspend {json} -d '{{\"reason\": \"demo\"}}'
   curl --cacert {ca} {globex}/whoami
   curl -X POST http://{admin}/admin/tenants/globex/activate {json} -d '{{}}'

6. A new tenant is there at once:

   curl -X POST http://{admin}/admin/tenants {json} -d '{{\"name\": \"Initech\", \"slug\": \"initech\", \"plan\": \"starter\"}}'
   curl --cacert {ca} {initech}/whoami

Ctrl-C stops it; nothing is left behind.

"
    )
}
