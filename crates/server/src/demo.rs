//! `apsis serve --demo`: a provider of its own, a key and a token, so that the whole path over HTTP is real.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use gateway::{passwords, sessions};
use model::{
    clock::Clock,
    credential::{Class, Credential},
    key::Settings,
    money::Units,
    price::ListedRates,
};
use store::{Leaps, Listing, ModelFacts, NewChannel, NewPrice, Store};
use testkit::{Provider, Script};
use zeroize::Zeroizing;

/// What the key of the demo may spend: two US dollars.
const QUOTA: Units = Units::new(1_000_000);
/// Milliseconds between two words, so that a stream can be watched.
const PACE: u64 = 30;
const CHAT: &str = "apsis-demo";
const EMBEDDING: &str = "apsis-demo-embedding";
const IMAGE: &str = "apsis-demo-image";

/// A prepared demo. Its provider runs as long as it lives.
pub(crate) struct Demo {
    key: Credential,
    token: Credential,
    password: Zeroizing<String>,
    _provider: Provider,
}

impl Demo {
    /// A fresh directory.
    pub(crate) fn directory() -> anyhow::Result<PathBuf> {
        let mut name = [0_u8; 8];
        getrandom::fill(&mut name)?;
        Ok(std::env::temp_dir().join(format!("apsis-demo-{:016x}", u64::from_le_bytes(name))))
    }

    /// Starts the provider and makes what leads to it.
    pub(crate) async fn prepare(store: &Store, clock: &dyn Clock) -> anyhow::Result<Self> {
        let provider = Provider::start().await.context("cannot start the demo provider")?;
        provider.script(CHAT, Script { chunk_ms: PACE, ..Script::default() });
        let now = clock.now();
        let root =
            store.account_by_username("root").await?.ok_or_else(|| anyhow!("there is no root account"))?;
        for channel in store.list_channels().await?.into_iter().filter(|channel| channel.name == "demo") {
            store.delete_channel(channel.id, now).await?;
        }
        let channel = NewChannel {
            name: "demo".to_owned(),
            kind: "compatible".to_owned(),
            base_url: provider.url(),
            credential: None,
            models: [CHAT, EMBEDDING, IMAGE].map(str::to_owned).into(),
            mapping: BTreeMap::new(),
            groups: vec!["default".to_owned()],
            priority: 0,
            weight: 1,
            enabled: true,
        };
        store.create_channel(&channel, now).await?;
        for (model, kind, output, endpoints) in [
            (CHAT, "text", 5_000_000, &[][..]),
            (EMBEDDING, "embedding", 0, &[]),
            (IMAGE, "image", 5_000_000, &["image-generation"]),
        ] {
            let facts = ModelFacts {
                name: model.to_owned(),
                provider: "Apsis".to_owned(),
                kind: kind.to_owned(),
                description: "A model of the demo, which answers out of a script.".to_owned(),
                endpoints: endpoints.iter().map(|name| (*name).to_owned()).collect(),
                listed: true,
                ..ModelFacts::default()
            };
            let price = NewPrice {
                model: model.to_owned(),
                rates: ListedRates::of(1_000_000, output),
                max_output: 4096,
                ..NewPrice::default()
            };
            store.import(&[Listing { facts, prices: vec![price] }], Leaps::Refused, now).await?;
        }
        let key = Credential::generate(Class::ApiKey, getrandom::fill)?;
        let settings = Settings { name: "demo".to_owned(), ..Settings::default() };
        store.create_key(root.id, &settings, QUOTA, &key, now).await?;
        let token = Credential::generate(Class::PersonalAccessToken, getrandom::fill)?;
        store.create_token(root.id, "demo", None, &token, now).await?;
        let password: Zeroizing<String> = Zeroizing::new(sessions::random_text()?.chars().take(24).collect());
        let hash = passwords::hash_new(password.clone()).await?;
        store.set_password(root.id, &hash, None, now).await?;
        Ok(Self { key, token, password, _provider: provider })
    }

    /// Says what can be tried. The key and the token are shown this once.
    pub(crate) fn greet(&self, out: &mut impl Write, address: SocketAddr) -> io::Result<()> {
        writeln!(out, "\nAPI key                {}", self.key.expose())?;
        writeln!(out, "Personal access token  {}\n", self.token.expose())?;
        writeln!(out, "Console                http://{address}/console")?;
        writeln!(out, "Sign in as             root, {}\n", *self.password)?;
        writeln!(out, "Try it:\n")?;
        writeln!(out, "  export APSIS_API_KEY={}", self.key.expose())?;
        writeln!(
            out,
            "  curl -N http://{address}/v1/chat/completions -H \"Authorization: Bearer $APSIS_API_KEY\" \\"
        )?;
        writeln!(out, "    -H 'content-type: application/json' \\")?;
        writeln!(
            out,
            "    -d '{{\"model\":\"{CHAT}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'"
        )?;
        writeln!(
            out,
            "  curl -s http://{address}/api/usage/token -H \"Authorization: Bearer $APSIS_API_KEY\"\n"
        )
    }
}
