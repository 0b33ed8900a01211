// An OpenID provider that others wrote, for one client: `openid_provider.mjs STATE REDIRECT... `
// STATE is a JSON file, read at each request: `people` by login with their claims, and `spoil`, claims that replace
// those of the id token after it was issued ("alg": "none" or "HS256" signs it so). It prints its port.

import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { exportJWK, generateKeyPair, SignJWT, decodeJwt } from "jose";
import Provider from "oidc-provider";

const [file, ...redirects] = process.argv.slice(2);
const state = () => JSON.parse(readFileSync(file, "utf8"));
const { privateKey } = await generateKeyPair("RS256", { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: "one", use: "sig", alg: "RS256" };
const server = createServer();
server.listen(0, "127.0.0.1", () => serve(server.address().port));

function serve(port) {
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "capgate",
      client_secret: "a secret of the tests",
      redirect_uris: redirects,
      post_logout_redirect_uris: redirects.map((each) => each.replace("/sso/return", "")),
    }],
    jwks: { keys: [key] },
    pkce: { required: () => true },
    conformIdTokenClaims: false,
    claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups"] },
    findAccount: (_, login) => ({ accountId: login, claims: () => ({ sub: login, ...state().people[login] }) }),
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope("openid profile");
      await grant.save();
      return grant;
    },
  });
  provider.use(async (ctx, next) => {
    await next();
    const { spoil } = state();
    if (spoil && ctx.path === "/token" && ctx.body?.id_token) ctx.body.id_token = await spoilt(ctx.body.id_token, spoil);
  });
  server.on("request", provider.callback());
  console.log(port);
}

async function spoilt(token, { alg = "RS256", ...changed }) {
  const claims = { ...decodeJwt(token), ...changed };
  if (alg === "RS256") return new SignJWT(claims).setProtectedHeader({ alg, kid: "one" }).sign(privateKey);
  const text = [{ alg, kid: "one" }, claims].map((each) => Buffer.from(JSON.stringify(each)).toString("base64url")).join(".");
  const signature = alg === "none" ? "" : createHmac("sha256", "a secret of the tests").update(text).digest("base64url");
  return `${text}.${signature}`;
}
