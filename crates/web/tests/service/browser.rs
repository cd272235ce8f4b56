//! A browser, as far as the console needs one over a socket: cookies, and the token of each form.

use http::header;
use model::id::AccountId;

use crate::app::{App, Reply};

pub(crate) const PASSWORD: &str = "a horse, a battery";

/// A browser, as far as cookies go.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) cookies: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn cookie(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn keep(&mut self, reply: &Reply) {
        for set in reply.headers.get_all(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    pub(crate) async fn get(&mut self, app: &App, path: &str) -> Reply {
        let cookie = self.cookie();
        let reply = app.call("GET", path, &[("cookie", &cookie)], "").await;
        self.keep(&reply);
        reply
    }

    /// Sends a form with the token of the page at `page`.
    pub(crate) async fn send(&mut self, app: &App, page: &str, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = csrf(&self.get(app, page).await);
        let fields = [&[("csrf", token.as_str())], fields].concat();
        let origin = format!("http://{}", app.address);
        self.post(app, path, &[("origin", &origin)], &fields).await
    }

    pub(crate) async fn post(
        &mut self,
        app: &App,
        path: &str,
        headers: &[(&str, &str)],
        fields: &[(&str, &str)],
    ) -> Reply {
        let cookie = self.cookie();
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers = [&[("cookie", cookie.as_str()), kind], headers].concat();
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let reply = app.call("POST", path, &headers, body).await;
        self.keep(&reply);
        reply
    }

    pub(crate) async fn sign_in(&mut self, app: &App, username: &str, password: &str) -> Reply {
        let fields = [("username", username), ("password", password)];
        self.send(app, "/console/sign-in", "/console/sign-in", &fields).await
    }
}

pub(crate) fn csrf(page: &Reply) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("no form: {text}"));
    rest.split('"').next().unwrap().to_owned()
}

pub(crate) fn location(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", reply.text());
    reply.header("location").unwrap()
}

pub(crate) async fn password(app: &App, account: AccountId) {
    let hash = gateway::passwords::hash_new(PASSWORD.to_owned().into()).await.unwrap();
    app.store.set_password(account, &hash, None, crate::app::now()).await.unwrap();
}

/// Root, signed in.
pub(crate) async fn root(app: &App) -> Browser {
    password(app, app.root).await;
    signed_in(app, "root").await
}

pub(crate) async fn signed_in(app: &App, username: &str) -> Browser {
    let mut browser = Browser::default();
    let entered = browser.sign_in(app, username, PASSWORD).await;
    assert_eq!(location(&entered), "/console");
    browser
}
