//! The console over a socket: who gets in, what a form must carry, what a page may do and must not show.

use http::header;
use model::clock::Timestamp;
use serde_json::json;
use store::Role;

use crate::{
    app::{App, question},
    browser::{Browser, PASSWORD, csrf, location, password, root, signed_in},
};

const HOSTILE: &str = r#"<script>alert(1)</script>"'><img src=x onerror=alert(2)>"#;

const PAGES: [&str; 20] = [
    "/console",
    "/console?whole=1",
    "/console/keys",
    "/console/keys/new",
    "/console/usage",
    "/console/usage/sums",
    "/console/models",
    "/console/playground",
    "/console/settings",
    "/console/settings/second-factor",
    "/console/settings/passkeys",
    "/console/channels",
    "/console/channels/new",
    "/console/accounts",
    "/console/groups",
    "/console/prices",
    "/console/ledger",
    "/console/system",
    "/console/audit",
    "/console/configuration",
];

#[tokio::test]
async fn nobody_gets_in_without_a_session() {
    let app = App::start().await;
    for page in PAGES {
        let reply = Browser::default().get(&app, page).await;
        assert!(location(&reply).starts_with("/console/sign-in"), "{page}");
    }
    let origin = format!("http://{}", app.address);
    let mut stranger = Browser::default();
    let page = stranger.get(&app, "/console/sign-in").await;
    let token = csrf(&page);
    // The token of a browser that is not signed in opens the ways in, and nothing else.
    for path in ["/console/keys", "/console/settings/password", "/console/sign-out"] {
        let reply = stranger.post(&app, path, &[("origin", &origin)], &[("csrf", &token)]).await;
        assert!(reply.status == 303 || reply.status == 403, "{path}: {}", reply.status);
        assert!(reply.header("location").is_none_or(|to| to.starts_with("/console/sign-in")), "{path}");
    }
    // A token of the API is no session.
    let cookie = format!("apsis-session={}", app.pat);
    let reply = app.call("GET", "/console", &[("cookie", &cookie)], "").await;
    assert!(location(&reply).starts_with("/console/sign-in"));
}

#[tokio::test]
async fn a_session_begins_anew_and_ends() {
    let app = App::start().await;
    password(&app, app.root).await;
    let mut browser = Browser { cookies: vec![("apsis-session".to_owned(), "0".repeat(64))] };
    let fixed = browser.cookie();
    browser.sign_in(&app, "root", PASSWORD).await;
    assert_ne!(browser.cookie(), fixed, "a session that somebody else has chosen is never taken");
    assert_eq!(browser.get(&app, "/console").await.status, 200);

    let mut before = browser.clone();
    let fields = [("username", "root"), ("password", PASSWORD)];
    let again = browser.send(&app, "/console/keys/new", "/console/sign-in", &fields).await;
    assert_eq!(location(&again), "/console");
    assert!(
        location(&before.get(&app, "/console").await).starts_with("/console/sign-in"),
        "one replaces the other"
    );

    let mut stolen = browser.clone();
    assert_eq!(stolen.get(&app, "/console").await.status, 200);
    let out = browser.send(&app, "/console", "/console/sign-out", &[]).await;
    assert_eq!(location(&out), "/console/sign-in");
    assert!(location(&stolen.get(&app, "/console").await).starts_with("/console/sign-in"));
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let app = App::start().await;
    let mut here = root(&app).await;
    let mut there = signed_in(&app, "root").await;
    let path = "/console/settings/password";
    let wrong =
        [("current", "not the password"), ("password", "another password"), ("again", "another password")];
    assert_eq!(here.send(&app, "/console/settings", path, &wrong).await.status, 422);
    let right = [("current", PASSWORD), ("password", "another password"), ("again", "another password")];
    let changed = here.send(&app, "/console/settings", path, &right).await;
    assert_eq!(location(&changed), "/console/settings?done=password_changed");
    assert_eq!(here.get(&app, "/console").await.status, 200);
    assert!(location(&there.get(&app, "/console").await).starts_with("/console/sign-in"));
    assert_eq!(Browser::default().sign_in(&app, "root", PASSWORD).await.status, 422);
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let app = App::start().await;
    let mut idle = root(&app).await;
    let token = idle.cookies[0].1.clone();
    let (session, _) = app.store.session_by_token(&token).await.unwrap().unwrap();
    assert!(app.store.end_session(app.root, session.id).await.unwrap());
    assert!(location(&idle.get(&app, "/console").await).starts_with("/console/sign-in"));

    // Sessions that began long ago, as the database has them after that time.
    let hash = app.store.password_hash(app.root).await.unwrap().unwrap();
    let now = crate::app::now().millis();
    for (number, age, used, open) in [
        (1, 6 * 86_400_000, 60_000, true),
        (2, 86_400_000, gateway::sessions::IDLE_MILLIS, false),
        (3, gateway::sessions::LONGEST_MILLIS, 0, false),
    ] {
        let new = store::NewSession {
            account: app.root,
            password_hash: &hash,
            client: "127.0.0.1",
            agent: "test",
            forget_before: Timestamp::from_millis(0),
        };
        let token = format!("{number:064}");
        let began = Timestamp::from_millis(now - age);
        let id = app.store.create_session(new, &token, began).await.unwrap().unwrap();
        app.store.session_used(id, Timestamp::from_millis(now - used)).await.unwrap();
        let mut browser = Browser { cookies: vec![("apsis-session".to_owned(), token)] };
        assert_eq!(browser.get(&app, "/console").await.status == 200, open, "{number}");
    }
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once() {
    let app = App::start().await;
    let member = app.account("member", 1000).await;
    password(&app, member).await;
    let mut browser = signed_in(&app, "member").await;
    let body = json!({"id": member.0, "status": 2});
    assert_eq!(app.manage("PUT", "/api/user", Some(body)).await.json()["success"], true);
    assert!(location(&browser.get(&app, "/console").await).starts_with("/console/sign-in"));
    assert_eq!(Browser::default().sign_in(&app, "member", PASSWORD).await.status, 422);
}

#[tokio::test]
async fn wrong_passwords_are_limited() {
    let app = App::start().await;
    password(&app, app.root).await;
    let mut browser = Browser::default();
    for _ in 0..8 {
        let refused = browser.sign_in(&app, "root", "not the password").await;
        assert_eq!(refused.status, 422);
        assert!(refused.header("set-cookie").is_none_or(|cookie| !cookie.contains("session")));
    }
    let refused = browser.sign_in(&app, "root", PASSWORD).await;
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() <= 900);
    // An account that there is not is answered in the same words.
    let unknown = browser.sign_in(&app, "nobody", PASSWORD).await;
    assert_eq!(unknown.status, 422);
    assert!(unknown.text().contains("The username or the password is not right."));
}

#[tokio::test]
async fn forged_forms_are_refused() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let token = csrf(&browser.get(&app, "/console/keys/new").await);
    let other = csrf(&signed_in(&app, "root").await.get(&app, "/console/keys/new").await);
    let ours = format!("http://{}", app.address);
    let key = [("name", "forged"), ("quota", "1")];
    for (origin, site, token) in [
        (Some("https://evil.example"), None, Some(&token)),
        (Some("null"), None, Some(&token)),
        (None, None, Some(&token)),
        (Some(ours.as_str()), Some("cross-site"), Some(&token)),
        (Some(ours.as_str()), None, None),
        (Some(ours.as_str()), None, Some(&other)),
        (Some(ours.as_str()), None, Some(&String::new())),
    ] {
        let mut headers = Vec::new();
        headers.extend(origin.map(|origin| ("origin", origin)));
        headers.extend(site.map(|site| ("sec-fetch-site", site)));
        let mut fields = key.to_vec();
        fields.extend(token.map(|token| ("csrf", token.as_str())));
        let reply = browser.post(&app, "/console/keys", &headers, &fields).await;
        assert_eq!(reply.status, 403, "{origin:?} {site:?}");
    }
    assert!(!browser.get(&app, "/console/keys").await.text().contains("forged"));
    let made = browser.send(&app, "/console/keys/new", "/console/keys", &key).await;
    assert!(location(&made).ends_with("?done=created"));
}

#[tokio::test]
async fn every_page_tells_the_browser_what_it_may_do() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    for page in [&PAGES[..], &["/console/sign-in", "/console/set-up", "/console/nowhere", "/"]].concat() {
        let reply = browser.get(&app, page).await;
        let policy = reply.header("content-security-policy").unwrap_or_else(|| panic!("{page}"));
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{page}: {policy}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{page}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{page}");
        let text = reply.text();
        for inline in ["<style", " style=", " onclick=", "javascript:", "<script>"] {
            assert!(!text.contains(inline), "{page} has {inline}");
        }
        for (_, rest) in text.match_indices("<script").map(|(at, _)| text.split_at(at)) {
            assert!(rest.split('>').next().unwrap().contains("src=\"/console/assets/"), "{page}");
        }
    }
    let page = browser.get(&app, "/console").await.text();
    let style = page.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let plain = app.call("GET", style, &[], "").await;
    let packed = app.call("GET", style, &[("accept-encoding", "br, gzip")], "").await;
    assert_eq!(plain.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 2 < plain.body.len());
    assert_eq!(app.call("GET", "/console/assets/console.0.css", &[], "").await.status, 404);
}

#[tokio::test]
async fn the_cookie_is_for_this_host_and_no_script() {
    let app = App::start().await;
    password(&app, app.root).await;
    let entered = Browser::default().sign_in(&app, "root", PASSWORD).await;
    let cookies = entered.headers.get_all(header::SET_COOKIE);
    let session = cookies.iter().find(|value| value.to_str().unwrap().starts_with("apsis-session=")).unwrap();
    let session = session.to_str().unwrap();
    assert!(session.ends_with("; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict"), "{session}");

    let app = App::behind("https://gw.example").await;
    password(&app, app.root).await;
    let mut browser = Browser::default();
    let token = csrf(&browser.get(&app, "/console/sign-in").await);
    let fields = [("csrf", token.as_str()), ("username", "root"), ("password", PASSWORD)];
    let entered = browser.post(&app, "/console/sign-in", &[("origin", "https://gw.example")], &fields).await;
    assert_eq!(location(&entered), "/console");
    for value in entered.headers.get_all(header::SET_COOKIE) {
        let text = value.to_str().unwrap();
        assert!(text.starts_with("__Host-") && text.contains("; Secure"), "{text}");
    }
}

#[tokio::test]
async fn hostile_names_stay_text() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let name: String = HOSTILE.chars().take(50).collect();
    let key = json!({"name": name, "unlimited_quota": true});
    let key = app.manage("POST", "/api/token", Some(key)).await.json()["data"].clone();
    let account = json!({"username": HOSTILE, "display_name": HOSTILE, "email": HOSTILE});
    app.manage("POST", "/api/user", Some(account)).await;
    app.manage("PUT", "/api/group", Some(json!({"name": "g<b>", "description": HOSTILE}))).await;
    app.price("m<script>alert(3)</script>", 1, 1, 0).await;
    let channel =
        json!({"name": HOSTILE, "base_url": app.provider.url(), "key": "k", "models": ["m", "<i>x</i>"]});
    app.manage("POST", "/api/channel", Some(channel)).await;
    app.chat(key["key"].as_str().unwrap(), &question("m")).await;
    app.ledger.idle().await;
    let own = format!("/console/keys/{}", key["id"]);
    let edit = format!("{own}/edit");
    let search = "/console/keys?search=%3Cscript%3Ealert(4)%3C/script%3E";
    let filter = "/console/usage?model=%22%3E%3Cscript%3Ealert(5)%3C/script%3E";
    for page in [&PAGES[..], &[own.as_str(), &edit, search, filter, "/console/accounts/2"]].concat() {
        let reply = browser.get(&app, page).await;
        assert_eq!(reply.status, 200, "{page}");
        let text = reply.text();
        for raw in ["<script>", "<img", "<b>", "<i>"] {
            assert!(!text.contains(raw), "{page} has {raw}");
        }
    }
    assert!(browser.get(&app, &own).await.text().contains("alert(1)"), "the name itself is there");
    let export = browser.get(&app, "/console/usage/export?model=m").await;
    assert_eq!(export.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(export.text().lines().count(), 2);
    assert_eq!(browser.get(&app, "/console/usage/export?model=x").await.text().lines().count(), 1);
}

#[tokio::test]
async fn no_page_has_a_secret() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let listed = app.manage("GET", "/api/token", None).await.json();
    let id = listed["data"]["items"][0]["id"].to_string();
    let bare = app.key.trim_start_matches("sk-").to_owned();
    let own = format!("/console/keys/{id}");
    let edit = format!("{own}/edit");
    for page in [&PAGES[..], &[own.as_str(), &edit, "/console/channels/1/edit"]].concat() {
        let text = browser.get(&app, page).await.text();
        for secret in [bare.as_str(), "upstream-secret", &app.pat, "argon2", &browser.cookies[0].1] {
            assert!(!text.contains(secret), "{page}");
        }
    }
    let shown = browser.send(&app, &own, &format!("{own}/reveal"), &[]).await;
    assert!(shown.text().contains(&app.key));
    let audit = app.manage("GET", "/api/audit?object=api_key", None).await.json();
    assert_eq!(audit["data"]["items"][0]["action"], "reveal", "{audit}");
    assert!(!audit.to_string().contains(&bare));
    assert_eq!(browser.get(&app, &format!("{own}/reveal")).await.status, 405);
}

#[tokio::test]
async fn a_member_sees_own_things_alone() {
    let app = App::start().await;
    let member = app.account("member", 1000).await;
    password(&app, member).await;
    let mut browser = signed_in(&app, "member").await;
    for page in PAGES {
        let administration = PAGES[11..].contains(&page);
        let reply = browser.get(&app, page).await;
        assert_eq!(reply.status, if administration { 403 } else { 200 }, "{page}");
        assert!(!reply.text().contains("href=\"/console/channels\""), "{page}");
    }
    let root_key = app.manage("GET", "/api/token", None).await.json()["data"]["items"][0]["id"].to_string();
    let theirs = format!("/console/keys/{root_key}");
    assert_eq!(browser.get(&app, &theirs).await.status, 404);
    for path in ["/reveal", "/delete", "/status", "/edit"] {
        let fields = [("status", "2"), ("name", "x"), ("quota", "1")];
        let reply = browser.send(&app, "/console/keys/new", &format!("{theirs}{path}"), &fields).await;
        assert!(!reply.text().contains(&app.key), "{path}");
        if path != "/delete" {
            assert_eq!(reply.status, 404, "{path}");
        }
    }
    for (path, fields) in [
        (
            "/console/channels",
            &[("name", "c"), ("kind", "openai"), ("base_url", "http://x"), ("models", "m")][..],
        ),
        ("/console/channels/1/test", &[]),
        ("/console/channels/1/delete", &[]),
        ("/console/accounts", &[("username", "other")]),
        ("/console/accounts/1", &[("role", "1")]),
        ("/console/accounts/1/password", &[("password", "another password")]),
        ("/console/groups", &[("name", "g"), ("ratio", "1")]),
        ("/console/groups/delete", &[("name", "default")]),
        ("/console/prices", &[("model", "m"), ("input", "1"), ("output", "1"), ("max_output", "1")]),
        ("/console/set-up/channel", &[]),
        ("/console/set-up/key", &[]),
    ] {
        let reply = browser.send(&app, "/console/keys/new", path, fields).await;
        assert_eq!(reply.status, 403, "{path}");
    }
    assert!(app.store.account(app.root).await.unwrap().unwrap().role == Role::Root);
    assert_eq!(app.chat(&app.key, &question("m")).await.status, 200);
}

#[tokio::test]
async fn keys_are_made_changed_and_deleted() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let fields = [
        ("name", "all fields"),
        ("quota", "2.50"),
        ("expires", "2099-12-31T23:59"),
        ("limited", "1"),
        ("models", "m\r\ncalls"),
        ("addresses", "192.0.2.0/24\r\n::1"),
        ("group", "auto"),
        ("cross_group_retry", "1"),
    ];
    let made = browser.send(&app, "/console/keys/new", "/console/keys", &fields).await;
    let id = location(&made).split(['/', '?']).nth(3).unwrap().to_owned();
    let record = app.manage("GET", &format!("/api/token/{id}"), None).await.json()["data"].clone();
    assert_eq!(record["remain_quota"], 1_250_000);
    assert_eq!(record["expired_time"], 4_102_444_740_i64);
    assert_eq!(record["model_limits"], "m,calls");
    assert_eq!(record["allow_ips"], "192.0.2.0/24\n::1");
    assert_eq!((&record["group"], &record["cross_group_retry"]), (&json!("auto"), &json!(true)));

    // A quota that nobody touched in the form is not set back to what it was when the page was opened.
    let page = format!("/console/keys/{id}/edit");
    app.manage("PUT", "/api/token", Some(json!({"id": record["id"], "remain_quota": 7}))).await;
    let stale = [("name", "renamed"), ("quota", "2.50"), ("quota_before", "2.50")];
    location(&browser.send(&app, &page, &page, &stale).await);
    let record = app.manage("GET", &format!("/api/token/{id}"), None).await.json()["data"].clone();
    assert_eq!((&record["name"], &record["remain_quota"]), (&json!("renamed"), &json!(7)));

    let several = "/console/keys/several";
    let disable = [("id", id.as_str()), ("what", "disable")];
    location(&browser.send(&app, "/console/keys", several, &disable).await);
    let record = app.manage("GET", &format!("/api/token/{id}"), None).await.json()["data"].clone();
    assert_eq!(record["status"], 2);
    let unsure = [("id", id.as_str()), ("what", "delete")];
    let asked = browser.send(&app, "/console/keys", several, &unsure).await;
    assert_eq!(location(&asked), "/console/keys?done=not_sure");
    let sure = [("id", id.as_str()), ("what", "delete"), ("sure", "1")];
    let gone = browser.send(&app, "/console/keys", several, &sure).await;
    assert_eq!(location(&gone), "/console/keys?done=deleted");
    assert_eq!(browser.get(&app, &format!("/console/keys/{id}")).await.status, 404);
}
