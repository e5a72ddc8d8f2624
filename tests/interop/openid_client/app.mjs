// An app on openid-client. It is told by lines of JSON what to be, says by lines of JSON where the browser has to go,
// hears where that ended, and closes with what it found: `done`, or what it refused and why.
import { createInterface } from 'node:readline'
import * as client from 'openid-client'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const hear = async () => (await lines.next()).value
const say = (message) => console.log(JSON.stringify(message))

async function browse(url) {
  say({ open: url.href })
  return new URL(await hear())
}

const GENERATED = {
  RS256: [{ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }, ['sign', 'verify']],
  PS256: [{ name: 'RSA-PSS', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }, ['sign', 'verify']],
  ES256: [{ name: 'ECDSA', namedCurve: 'P-256' }, ['sign', 'verify']],
  'ECDH-ES': [{ name: 'ECDH', namedCurve: 'P-256' }, ['deriveBits']],
}

// A key of the app: what it keeps, and what it registers.
async function generate(alg) {
  const pair = await crypto.subtle.generateKey(GENERATED[alg][0], true, GENERATED[alg][1])
  const { kty, crv, x, y, n, e } = await crypto.subtle.exportKey('jwk', pair.publicKey)
  const jwk = { kty, crv, x, y, n, e, alg, kid: alg, use: alg === 'ECDH-ES' ? 'enc' : 'sig' }
  return { jwk, held: { key: pair.privateKey, kid: alg, alg } }
}

// How the app proves who it is; what the library does when it is told nothing, where the method is not named.
function authentication(method, signing) {
  switch (method) {
    case undefined:
      return undefined
    case 'none':
      return client.None()
    case 'client_secret_basic':
      return client.ClientSecretBasic()
    case 'client_secret_post':
      return client.ClientSecretPost()
    case 'client_secret_jwt':
      return client.ClientSecretJwt()
    case 'private_key_jwt':
      return client.PrivateKeyJwt({ key: signing.held.key, kid: signing.held.kid })
    default:
      throw new Error(`no such method: ${method}`)
  }
}

async function run(task) {
  const signing = task.signs && (await generate(task.signs))
  const decrypting = task.decrypts && (await generate(task.decrypts))
  const keys = [signing, decrypting].filter(Boolean).map((key) => key.jwk)
  const proof = authentication(task.method, signing)
  const issuer = new URL(task.issuer)
  const registered = task.register && { ...task.register, ...(keys.length && { jwks: { keys } }) }
  const config = registered
    ? await client.dynamicClientRegistration(issuer, registered, proof)
    : await client.discovery(issuer, task.client_id, task.client_secret, proof)
  if (task.signatures) client.enableNonRepudiationChecks(config)
  if (task.hybrid) client.useCodeIdTokenResponseType(config)
  if (task.implicit) client.useIdTokenResponseType(config)
  if (decrypting) client.enableDecryptingResponses(config, ['A256GCM'], decrypting.held)

  if (task.machine) {
    const tokens = await client.clientCredentialsGrant(config, task.machine)
    return { access_token: tokens.access_token, token_type: tokens.token_type, scope: tokens.scope }
  }

  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const expectedNonce = client.randomNonce()
  const parameters = { redirect_uri: task.redirect_uri, scope: task.scope, state: expectedState, nonce: expectedNonce }
  if (!task.implicit) {
    parameters.code_challenge = await client.calculatePKCECodeChallenge(pkceCodeVerifier)
    parameters.code_challenge_method = 'S256'
  }
  const url = task.pushed
    ? await client.buildAuthorizationUrlWithPAR(config, parameters)
    : task.signed
      ? await client.buildAuthorizationUrlWithJAR(config, parameters, { key: signing.held.key, kid: signing.held.kid })
      : client.buildAuthorizationUrl(config, parameters)
  const answer = await browse(url)
  if (task.implicit) {
    const { sub } = await client.implicitAuthentication(config, answer, expectedNonce, { expectedState })
    return { sub }
  }

  const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
  const tokens = await client.authorizationCodeGrant(config, answer, checks)
  const { sub } = tokens.claims()
  const about = await client.fetchUserInfo(config, tokens.access_token, sub)
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
  const again = await client.fetchUserInfo(config, refreshed.access_token, sub)

  const state = client.randomState()
  const ending = { post_logout_redirect_uri: task.bye, state }
  // The library keeps the decrypted one to itself, and nobody but the app can read the other.
  if (!decrypting) ending.id_token_hint = refreshed.id_token ?? tokens.id_token
  const bye = await browse(client.buildEndSessionUrl(config, ending))

  await client.tokenRevocation(config, refreshed.refresh_token)
  const after = await client.refreshTokenGrant(config, refreshed.refresh_token).then(
    () => 'a token',
    (error) => error.error ?? String(error),
  )
  return {
    sub,
    email: about.email,
    email_again: again.email,
    rotated: refreshed.refresh_token !== tokens.refresh_token && refreshed.access_token !== tokens.access_token,
    sub_again: refreshed.claims()?.sub,
    id_token: tokens.id_token,
    request: url.search,
    bye: bye.origin + bye.pathname,
    bye_state: bye.searchParams.get('state') === state,
    after,
  }
}

try {
  say({ done: await run(JSON.parse(await hear())) })
} catch (error) {
  const { name, code, message, cause } = error
  say({ refused: { name, code, error: error.error, message, cause: String(cause?.message ?? JSON.stringify(cause)) } })
}
process.exit(0)
