// Proves that a request came through gatehouse, and says which tenant and user it is of.
//
//   npm install jose
//   GATEHOUSE_JWKS=http://127.0.0.1:3000/.well-known/jwks.json node verify.mjs
import { createServer } from "node:http";
import { createRemoteJWKSet, jwtVerify } from "jose";

const jwks = process.env.GATEHOUSE_JWKS ?? "http://127.0.0.1:3000/.well-known/jwks.json";
// Fetched when they are first needed, kept, and fetched again when a context names a key that is not among them.
const keys = createRemoteJWKSet(new URL(jwks));
const expected = { issuer: "gatehouse", audience: "app", algorithms: ["EdDSA"] };

/** The context of a request: `{tenant, slug, plan, features, user?, roles?}`. Throws where it is missing, forged or expired. */
export async function contextOf(request) {
  const { payload } = await jwtVerify(request.headers["x-tenant-context"] ?? "", keys, expected);
  return payload;
}

// An app that tells what it knows.
const server = createServer(async (request, response) => {
  try {
    const { tenant, slug, plan, features, user, roles } = await contextOf(request);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ tenant, slug, plan, features, user, roles }));
  } catch (error) {
    response.statusCode = 401;
    response.end(`this request did not come through the gate: ${error.message}\n`);
  }
});
server.listen(process.env.PORT ?? 9000, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
