//! Passkeys over the socket, with a software authenticator: adding, signing in, and everything that must not open.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::json;

use crate::{
    app::{App, Reply, now},
    browser::{Browser, PASSWORD, csrf, location, password, signed_in},
};

const SITE: &str = "https://gw.example";
const HERE: &str = "/console/settings/passkeys";
const ENTER: &str = "/console/sign-in/passkey";

/// One passkey, and the account that it was made for.
struct Authenticator {
    pair: Ed25519KeyPair,
    id: Vec<u8>,
    user: String,
    counter: u32,
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn client(kind: &str, challenge: &str) -> Vec<u8> {
    json!({"type": kind, "challenge": challenge, "origin": SITE, "crossOrigin": false}).to_string().into()
}

impl Authenticator {
    fn new(id: &[u8], user: &str) -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        Self { pair, id: id.to_vec(), user: user.to_owned(), counter: 0 }
    }

    fn data(&self, flags: u8, rest: &[u8]) -> Vec<u8> {
        let site = digest(&SHA256, b"gw.example");
        [site.as_ref(), &[flags], &self.counter.to_be_bytes(), rest].concat()
    }

    /// `attestationObject`, in base64url.
    fn object(&self) -> String {
        let key =
            [&b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"[..], self.pair.public_key().as_ref()].concat();
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let data = self.data(0x45, &[&[0; 16][..], &length, &self.id, &key].concat());
        let length = u8::try_from(data.len()).unwrap();
        let begin = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58";
        encoded(&[&begin[..], &[length], &data].concat())
    }

    /// The fields of a sign-in that answers `challenge`.
    fn answer(&self, challenge: &str) -> Vec<(&'static str, String)> {
        let (data, client) = (self.data(5, &[]), client("webauthn.get", challenge));
        let message = [&data, digest(&SHA256, &client).as_ref()].concat();
        vec![
            ("credential", encoded(&self.id)),
            ("client", encoded(&client)),
            ("data", encoded(&data)),
            ("signature", encoded(self.pair.sign(&message).as_ref())),
            ("user", self.user.clone()),
        ]
    }
}

/// Begins to add a passkey; the authenticator, and the challenge.
async fn begin(app: &App, browser: &mut Browser, id: &[u8]) -> (Authenticator, String) {
    let options = browser.send(app, HERE, &format!("{HERE}/options"), &[]).await;
    assert_eq!(options.status, 200, "{}", options.text());
    let options = options.json();
    assert_eq!(options["rp"]["id"], "gw.example");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    (Authenticator::new(id, &text(&options["user"]["id"])), text(&options["challenge"]))
}

async fn finish(app: &App, browser: &mut Browser, made: &Authenticator, challenge: &str) -> Reply {
    let (client, object) = (encoded(&client("webauthn.create", challenge)), made.object());
    let fields = [("name", "laptop"), ("client", client.as_str()), ("object", object.as_str())];
    browser.send(app, HERE, HERE, &fields).await
}

async fn add(app: &App, browser: &mut Browser, id: &[u8]) -> Authenticator {
    let (made, challenge) = begin(app, browser, id).await;
    let added = finish(app, browser, &made, &challenge).await;
    assert_eq!(location(&added), format!("{HERE}?done=passkey_added"));
    made
}

/// A browser on the sign-in page, and its challenge.
async fn at_the_door(app: &App) -> (Browser, String) {
    let mut browser = Browser::default();
    let options = browser.send(app, "/console/sign-in", &format!("{ENTER}/options"), &[]).await;
    let challenge = options.json()["challenge"].as_str().unwrap().to_owned();
    (browser, challenge)
}

async fn knock(app: &App, browser: &mut Browser, fields: &[(&'static str, String)]) -> Reply {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.send(app, "/console/sign-in", ENTER, &fields).await
}

async fn enter(app: &App, made: &Authenticator) -> (Browser, Reply) {
    let (mut browser, challenge) = at_the_door(app).await;
    let reply = knock(app, &mut browser, &made.answer(&challenge)).await;
    (browser, reply)
}

async fn start() -> (App, Browser) {
    let mut app = App::behind(SITE).await;
    app.pat = app.token(app.root).await;
    password(&app, app.root).await;
    let browser = signed_in(&app, "root").await;
    (app, browser)
}

#[tokio::test]
async fn a_passkey_opens_the_console_without_a_password_or_a_code() {
    let (app, mut browser) = start().await;
    let made = add(&app, &mut browser, b"one").await;
    let page = browser.get(&app, HERE).await.text();
    assert!(page.contains("laptop") && page.contains("not yet"));
    let (mut other, entered) = enter(&app, &made).await;
    assert_eq!(location(&entered), "/console");
    assert_eq!(other.get(&app, "/console").await.status, 200);
    assert!(!browser.get(&app, HERE).await.text().contains("not yet"), "the list says when it was used");

    // The authenticator is not asked for a second passkey of the same account.
    let options = browser.send(&app, HERE, &format!("{HERE}/options"), &[]).await.json();
    assert_eq!(options["excludeCredentials"], json!([{"type": "public-key", "id": encoded(b"one")}]));

    // A code of an authenticator app is not asked for, and a password that changes ends what a passkey has opened.
    app.store.begin_totp(app.root, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", now()).await.unwrap();
    let session = app.store.list_sessions(app.root).await.unwrap().last().unwrap().id;
    assert!(app.store.confirm_totp(app.root, 1, &[], session, now()).await.unwrap());
    assert_eq!(location(&enter(&app, &made).await.1), "/console");
    let fields = [("current", PASSWORD), ("password", "another password"), ("again", "another password")];
    location(&browser.send(&app, "/console/settings", "/console/settings/password", &fields).await);
    assert_eq!(other.get(&app, "/console").await.status, 303);
    assert_eq!(location(&enter(&app, &made).await.1), "/console", "the passkey stays");
}

#[tokio::test]
async fn an_answer_is_good_once_in_one_browser() {
    let (app, mut browser) = start().await;
    let made = add(&app, &mut browser, b"one").await;
    let (mut browser, challenge) = at_the_door(&app).await;
    let answer = made.answer(&challenge);
    let mut thief = Browser::default();
    assert_eq!(knock(&app, &mut thief, &answer).await.status, 422, "another browser's challenge");
    let mut twin = browser.clone();
    assert_eq!(location(&knock(&app, &mut browser, &answer).await), "/console");
    assert_eq!(knock(&app, &mut twin, &answer).await.status, 422, "it was answered before");

    let (mut browser, challenge) = at_the_door(&app).await;
    let right = made.answer(&challenge);
    for (field, value) in [
        ("credential", encoded(b"two")),
        ("credential", String::new()),
        ("client", encoded(&client("webauthn.create", &challenge))),
        ("client", encoded(&client("webauthn.get", "AAAA"))),
        ("client", encoded(&client("webauthn.get", &challenge[..challenge.len() - 1]))),
        ("client", "~".to_owned()),
        ("data", encoded(&made.data(1, &[]))),
        ("data", encoded(&[0; 36])),
        ("signature", encoded(&[0; 64])),
        ("signature", "A".repeat(60_000)),
        ("user", encoded(b"somebody else")),
        ("user", String::new()),
    ] {
        let mut wrong = right.clone();
        wrong.iter_mut().find(|(name, _)| *name == field).unwrap().1 = value;
        let refused = knock(&app, &mut browser, &wrong).await;
        assert_eq!(refused.status, 422, "{field}: {}", refused.text());
        assert!(refused.text().contains("does not open an account"));
    }
    assert_eq!(location(&knock(&app, &mut browser, &right).await), "/console");
    // A challenge for signing in adds nothing, and the other way round.
    let mut owner = signed_in(&app, "root").await;
    let (_, for_entering) = at_the_door(&app).await;
    let other = Authenticator::new(b"two", &made.user);
    assert_eq!(finish(&app, &mut owner, &other, &for_entering).await.status, 422);
    let (_, for_adding) = begin(&app, &mut owner, b"two").await;
    let (mut browser, _) = at_the_door(&app).await;
    assert_eq!(knock(&app, &mut browser, &made.answer(&for_adding)).await.status, 422);
}

#[tokio::test]
async fn a_counter_that_stands_still_is_a_copy_and_recorded() {
    let (app, mut browser) = start().await;
    let mut made = add(&app, &mut browser, b"one").await;
    made.counter = 7;
    assert_eq!(location(&enter(&app, &made).await.1), "/console");
    for counter in [7, 6, 0] {
        made.counter = counter;
        assert_eq!(enter(&app, &made).await.1.status, 422, "{counter}");
    }
    made.counter = 8;
    assert_eq!(location(&enter(&app, &made).await.1), "/console");
    let audit = app.manage("GET", "/api/audit?object=passkey", None).await.json();
    let actions: Vec<_> =
        audit["data"]["items"].as_array().unwrap().iter().map(|item| item["action"].clone()).collect();
    assert_eq!(actions, ["refuse", "refuse", "refuse", "create"]);
}

#[tokio::test]
async fn adding_and_removing_need_a_fresh_proof() {
    let (app, mut browser) = start().await;
    let (made, challenge) = begin(&app, &mut browser, b"one").await;
    app.clock.set_minutes(10);
    let late = finish(&app, &mut browser, &made, &challenge).await;
    assert_eq!(late.status, 422);
    let page = browser.get(&app, HERE).await.text();
    assert!(page.contains(&format!("{HERE}/prove")) && !page.contains("data-passkey"));
    assert_eq!(browser.send(&app, HERE, &format!("{HERE}/options"), &[]).await.status, 422);
    let prove = format!("{HERE}/prove");
    assert_eq!(browser.send(&app, HERE, &prove, &[("password", "wrong")]).await.status, 422);
    assert_eq!(location(&browser.send(&app, HERE, &prove, &[("password", PASSWORD)]).await), HERE);
    assert_eq!(finish(&app, &mut browser, &made, &challenge).await.status, 422, "its challenge is old");
    let made = add(&app, &mut browser, b"one").await;
    let again = Authenticator::new(b"one", &made.user);
    let (_, challenge) = begin(&app, &mut browser, b"one").await;
    let taken = finish(&app, &mut browser, &again, &challenge).await;
    assert!(taken.status == 422 && taken.text().contains("there already"));
    let id = app.store.passkeys(app.root).await.unwrap()[0].id;
    app.clock.set_minutes(21);
    let remove = format!("{HERE}/{id}/remove");
    assert_eq!(browser.send(&app, HERE, &remove, &[]).await.status, 422);
    location(&browser.send(&app, HERE, &prove, &[("password", PASSWORD)]).await);
    location(&browser.send(&app, HERE, &remove, &[]).await);
    assert_eq!(enter(&app, &made).await.1.status, 422);
}

#[tokio::test]
async fn others_passkeys_are_not_touched_but_by_administrators() {
    let (app, mut browser) = start().await;
    let member = app.account("member", 0).await;
    password(&app, member).await;
    let mut theirs = signed_in(&app, "member").await;
    let made = add(&app, &mut theirs, b"theirs").await;
    let id = app.store.passkeys(member).await.unwrap()[0].id;
    let refused = browser.send(&app, HERE, &format!("{HERE}/{id}/remove"), &[]).await;
    assert_eq!(refused.status, 404, "not even root's own page removes another's");

    // A disabled account is not opened.
    let disable = json!({"id": member.0, "status": 2});
    app.manage("PUT", "/api/user", Some(disable)).await;
    assert_eq!(enter(&app, &made).await.1.status, 422);
    app.manage("PUT", "/api/user", Some(json!({"id": member.0, "status": 1}))).await;
    assert_eq!(location(&enter(&app, &made).await.1), "/console");

    let (page, path) =
        (format!("/console/accounts/{member}"), format!("/console/accounts/{member}/passkeys/remove"));
    let mut theirs = signed_in(&app, "member").await;
    assert_eq!(theirs.send(&app, HERE, &path, &[]).await.status, 403);
    assert!(browser.get(&app, &page).await.text().contains(&path));
    location(&browser.send(&app, &page, &path, &[]).await);
    assert_eq!(enter(&app, &made).await.1.status, 422);
}

#[tokio::test]
async fn a_gateway_without_tls_says_why_there_are_none() {
    let app = App::start().await;
    password(&app, app.root).await;
    let mut browser = signed_in(&app, "root").await;
    let page = browser.get(&app, HERE).await.text();
    assert!(page.contains("only over https") && !page.contains("data-passkey"));
    let refused = browser.send(&app, HERE, &format!("{HERE}/options"), &[]).await;
    assert!(refused.status == 422 && refused.text().contains("only over https"));
    assert!(!Browser::default().get(&app, "/console/sign-in").await.text().contains("data-passkey"));
    let forged = browser.post(&app, ENTER, &[("origin", "https://evil.example")], &[]).await;
    assert_eq!(forged.status, 403);
    assert!(!csrf(&browser.get(&app, HERE).await).is_empty());
}
