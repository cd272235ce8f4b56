//! Signing in with a second factor.

use model::clock::Timestamp;
use totp_rs::{Builder, Secret};

use crate::{
    app::{App, now},
    browser::{Browser, PASSWORD, csrf, location, password, root, signed_in},
};

const HERE: &str = "/console/settings/second-factor";
const CODE: &str = "/console/sign-in/code";

/// The code of an app at a moment.
fn code(secret: &str, at: Timestamp) -> String {
    let totp = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build().unwrap();
    totp.generate(u64::try_from(at.secs()).unwrap()).to_string()
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_secs(now().secs() + seconds)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before} is not in {text}"));
    rest.split(after).next().unwrap()
}

/// Sets up an app; gives its secret and the recovery codes.
async fn enrol(app: &App, browser: &mut Browser) -> (String, Vec<String>) {
    assert_eq!(location(&browser.send(app, HERE, &format!("{HERE}/begin"), &[]).await), HERE);
    let page = browser.get(app, HERE).await.text();
    assert!(page.contains("<svg class=\"qr\""));
    let secret = between(&page, "id=\"secret\">", "<").replace(' ', "");
    let wrong = browser.send(app, HERE, &format!("{HERE}/confirm"), &[("code", "12345x")]).await;
    assert_eq!(wrong.status, 422);
    let first = code(&secret, later(-30));
    let page = browser.send(app, HERE, &format!("{HERE}/confirm"), &[("code", &first)]).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let codes: Vec<_> = between(&page.text(), "<pre id=\"codes\" tabindex=\"0\">", "</pre>")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(codes.len(), 10);
    assert!(!browser.get(app, HERE).await.text().contains(&codes[0]), "shown once");
    (secret, codes)
}

/// As far as the password leads.
async fn half_way(app: &App) -> Browser {
    let mut browser = Browser::default();
    let answer = browser.sign_in(app, "root", PASSWORD).await;
    assert_eq!(location(&answer), format!("{CODE}?"));
    browser
}

#[tokio::test]
async fn a_password_alone_opens_nothing_any_more() {
    let app = App::start().await;
    let mut other = root(&app).await;
    let mut browser = signed_in(&app, "root").await;
    let (secret, codes) = enrol(&app, &mut browser).await;
    assert_eq!(browser.get(&app, "/console").await.status, 200, "the session that set it up stays");
    assert_eq!(other.get(&app, "/console").await.status, 303, "the others have ended");

    let mut half = half_way(&app).await;
    for page in ["/console", "/console/keys", "/console/settings"] {
        assert!(location(&half.get(&app, page).await).starts_with("/console/sign-in"), "{page}");
    }
    // The token of the wait is no session's.
    let (_, pending) = half.cookies.iter().find(|(name, _)| name == "apsis-pending").unwrap().clone();
    let mut thief = Browser { cookies: vec![("apsis-session".to_owned(), pending)] };
    assert!(location(&thief.get(&app, "/console").await).starts_with("/console/sign-in"));

    let used = code(&secret, later(-30));
    for wrong in ["000000", "", "aaaa-aaaa-aaaa-aaaa", used.as_str()] {
        assert_eq!(half.send(&app, CODE, CODE, &[("code", wrong)]).await.status, 422, "{wrong}");
    }
    let fresh = code(&secret, now());
    assert_eq!(location(&half.send(&app, CODE, CODE, &[("code", &fresh)]).await), "/console");
    assert_eq!(half.get(&app, "/console").await.status, 200);

    // Each is good once, also while its half minute lasts.
    let mut again = half_way(&app).await;
    assert_eq!(again.send(&app, CODE, CODE, &[("code", &fresh)]).await.status, 422);
    let typed = codes[3].to_uppercase().replace('-', " ");
    assert_eq!(location(&again.send(&app, CODE, CODE, &[("code", &typed)]).await), "/console");
    let mut again = half_way(&app).await;
    assert_eq!(again.send(&app, CODE, CODE, &[("code", &codes[3])]).await.status, 422);
    assert!(again.get(&app, CODE).await.text().contains("name=\"code\""));
}

#[tokio::test]
async fn codes_are_limited_as_passwords_are() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let (secret, codes) = enrol(&app, &mut browser).await;
    let mut half = half_way(&app).await;
    let page = half.get(&app, CODE).await;
    let (token, origin) = (csrf(&page), format!("http://{}", app.address));
    let mut last = 422;
    for _ in 0..8 {
        let fields = [("csrf", token.as_str()), ("code", "000000")];
        last = half.post(&app, CODE, &[("origin", &origin)], &fields).await.status;
    }
    assert_eq!(last, 429, "one of the eight was wrong when the app was set up");
    let right = code(&secret, now());
    for code in [right.as_str(), &codes[0]] {
        let refused = half.send(&app, CODE, CODE, &[("code", code)]).await;
        assert_eq!(refused.status, 429);
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(browser.send(&app, HERE, &format!("{HERE}/end"), &[("code", &right)]).await.status, 429);
}

#[tokio::test]
async fn a_wait_ends_with_its_password_and_without_a_cookie() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let (_, codes) = enrol(&app, &mut browser).await;
    let mut half = half_way(&app).await;
    let fields = [("current", PASSWORD), ("password", "another password"), ("again", "another password")];
    browser.send(&app, "/console/settings", "/console/settings/password", &fields).await;
    let late = half.send(&app, CODE, CODE, &[("code", &codes[0])]).await;
    assert_eq!(location(&late), "/console/sign-in?ended=1");
    assert_eq!(location(&Browser::default().get(&app, CODE).await), "/console/sign-in");
}

#[tokio::test]
async fn the_factor_goes_with_a_code_or_with_an_administrator() {
    let app = App::start().await;
    let member = app.account("member", 0).await;
    password(&app, member).await;
    let mut browser = signed_in(&app, "member").await;
    let (_, codes) = enrol(&app, &mut browser).await;
    let renewed = browser.send(&app, HERE, &format!("{HERE}/codes"), &[("code", &codes[0])]).await.text();
    let fresh = between(&renewed, "<pre id=\"codes\" tabindex=\"0\">", "\n").to_owned();
    assert_eq!(browser.send(&app, HERE, &format!("{HERE}/end"), &[("code", &codes[1])]).await.status, 422);
    let ended = browser.send(&app, HERE, &format!("{HERE}/end"), &[("code", &fresh)]).await;
    assert_eq!(location(&ended), format!("{HERE}?done=factor_ended"));

    enrol(&app, &mut browser).await;
    let mut operator = root(&app).await;
    let (page, path) =
        (format!("/console/accounts/{member}"), format!("/console/accounts/{member}/second-factor/remove"));
    assert!(operator.get(&app, &page).await.text().contains(&path));
    let refused = browser.send(&app, HERE, &path, &[]).await;
    assert_eq!(refused.status, 403, "not by its owner");
    location(&operator.send(&app, &page, &path, &[]).await);
    signed_in(&app, "member").await;
    let audit = app.manage("GET", "/api/audit?object=second_factor", None).await.json();
    let actions: Vec<_> =
        audit["data"]["items"].as_array().unwrap().iter().map(|item| item["action"].clone()).collect();
    assert_eq!(actions, ["delete", "create", "delete", "update", "create"]);
}
