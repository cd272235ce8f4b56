//! Configuration: one table of keys, read from flags, environment and file, in that order of precedence.
//!
//! This is the only place that reads the environment. docs/configuration.md documents every key of [`KEYS`], which a
//! test compares.

mod in_force;
mod keys;

use std::{
    collections::BTreeMap,
    env, fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use gateway::Roots;
use store::PostgresServer;
use zeroize::Zeroizing;

pub(crate) use keys::{KEYS, Key};

use crate::cli::Options;
use keys::Kind;

/// Where a value came from, for an error.
#[derive(Clone, Debug)]
enum Source {
    Default,
    File(PathBuf),
    Environment(String),
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag => f.write_str("the command line"),
        }
    }
}

/// The values in force.
pub(crate) struct Config(BTreeMap<&'static str, (Zeroizing<String>, Source)>);

impl Config {
    /// Reads everything.
    ///
    /// # Errors
    /// An unknown key, a value of the wrong kind, a file that cannot be read: naming the place and the key.
    pub(crate) fn read(options: &Options) -> anyhow::Result<Self> {
        Self::from(options, env::vars())
    }

    fn from(options: &Options, variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<Self> {
        let mut config = Self(BTreeMap::new());
        for key in KEYS {
            config.0.insert(key.name, (key.default.to_owned().into(), Source::Default));
        }
        if let Some(path) = &options.config {
            config.read_file(path)?;
        }
        let mut variables: Vec<_> = variables.filter(|(name, _)| name.starts_with("APSIS_")).collect();
        variables.sort();
        for (name, value) in variables {
            let bare = name.strip_prefix("APSIS_").unwrap_or(&name).to_ascii_lowercase();
            config.put(&bare, '_', value, &Source::Environment(name))?;
        }
        let flags = [("listen", &options.listen), ("data_dir", &options.data_dir)];
        for (name, value) in flags {
            if let Some(value) = value {
                config.put(name, '.', value.clone(), &Source::Flag)?;
            }
        }
        for pair in &options.set {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| anyhow!("--set takes KEY=VALUE, not `{pair}`"))?;
            config.put(name, '.', value.to_owned(), &Source::Flag)?;
        }
        config.check()?;
        Ok(config)
    }

    fn read_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
        let table: toml::Table =
            text.parse().with_context(|| format!("the configuration file {} is not TOML", path.display()))?;
        let mut found = Vec::new();
        flatten(String::new(), table, &mut found);
        for (name, value) in found {
            self.put(&name, '.', value, &Source::File(path.to_owned()))?;
        }
        Ok(())
    }

    /// Takes in one value; `separator` stands between the parts of a name.
    fn put(&mut self, name: &str, separator: char, value: String, source: &Source) -> anyhow::Result<()> {
        let written = |key: &Key| key.name.replace('.', &separator.to_string());
        let (key, value) = match KEYS.iter().find(|key| written(key) == name) {
            Some(key) => (key, value),
            None => {
                let secret = KEYS.iter().find(|key| {
                    key.kind.is_secret() && Some(written(key).as_str()) == name.strip_suffix("_file")
                });
                let Some(key) = secret else {
                    let near = KEYS.iter().map(written).max_by_key(|known| likeness(known, name));
                    bail!("{source}: unknown key `{name}`; did you mean `{}`?", near.unwrap_or_default());
                };
                let text = std::fs::read_to_string(&value)
                    .with_context(|| format!("{source}: cannot read {value}, the file of `{name}`"))?;
                (key, text.trim().to_owned())
            }
        };
        self.0.insert(key.name, (value.into(), source.clone()));
        Ok(())
    }

    fn text(&self, name: &str) -> anyhow::Result<(&str, &Source)> {
        let found = self.0.get(name).ok_or_else(|| anyhow!("there is no configuration key {name}"))?;
        Ok((&found.0, &found.1))
    }

    /// A value.
    ///
    /// # Errors
    /// It is not what the key takes.
    pub(crate) fn get<T: FromStr>(&self, name: &str) -> anyhow::Result<T>
    where
        T::Err: fmt::Display,
    {
        let (text, source) = self.text(name)?;
        text.parse().map_err(|error| anyhow!("{source}: `{name}` cannot be `{text}`: {error}"))
    }

    /// A secret, or `None` when it was not given.
    pub(crate) fn secret(&self, name: &str) -> anyhow::Result<Option<&str>> {
        Ok(Some(self.text(name)?.0).filter(|text| !text.is_empty()))
    }

    /// A time.
    pub(crate) fn time(&self, name: &str) -> anyhow::Result<Duration> {
        self.time_of(name, 1)
    }

    /// A time that may be nothing.
    pub(crate) fn time_or_zero(&self, name: &str) -> anyhow::Result<Duration> {
        self.time_of(name, 0)
    }

    fn time_of(&self, name: &str, least: u64) -> anyhow::Result<Duration> {
        let (text, source) = self.text(name)?;
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let millis = match unit {
            "ms" => Some(1),
            "s" => Some(1_000),
            _ => None,
        };
        let number: Option<u64> = number.parse().ok();
        let time = number.zip(millis).and_then(|(number, unit)| number.checked_mul(unit));
        time.filter(|millis| *millis >= least)
            .map(Duration::from_millis)
            .ok_or_else(|| anyhow!("{source}: `{name}` must be a time such as 10s or 200ms, not `{text}`"))
    }

    /// The base URL that clients use, without a slash at its end; `None` when nothing is said.
    pub(crate) fn public_url(&self) -> anyhow::Result<Option<&str>> {
        let (text, source) = self.text("public_url")?;
        let url = text.trim_end_matches('/');
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let plain = |rest: &str| {
            let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>?#@".contains(&byte);
            !rest.is_empty() && rest.bytes().all(fits)
        };
        if !url.is_empty() && !rest.is_some_and(plain) {
            bail!("{source}: `public_url` must be a URL such as https://gateway.example.com, not `{text}`");
        }
        Ok(Some(url).filter(|url| !url.is_empty()))
    }

    /// Address ranges, comma separated.
    pub(crate) fn networks(&self, name: &str) -> anyhow::Result<Vec<ipnet::IpNet>> {
        let (text, source) = self.text(name)?;
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| {
                let range = entry.parse().or_else(|_| entry.parse::<std::net::IpAddr>().map(Into::into));
                range.map_err(|_| anyhow!("{source}: `{name}`: `{entry}` is no address and no CIDR range"))
            })
            .collect()
    }

    /// Mozilla's certificate authorities and those in the file that the key names.
    pub(crate) fn roots(&self, name: &str) -> anyhow::Result<Roots> {
        let (path, source) = self.text(name)?;
        if path.is_empty() {
            return Ok(Roots::default());
        }
        let pem = std::fs::read(path).with_context(|| format!("{source}: `{name}`: cannot read {path}"))?;
        Roots::default().with_pem(&pem).with_context(|| format!("{source}: `{name}`: {path}"))
    }

    /// Whether every value is of its kind.
    ///
    /// # Errors
    /// The first that is not.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.public_url()?;
        self.workers()?;
        for key in KEYS {
            match key.kind {
                Kind::Text => {}
                Kind::Address => drop(self.get::<std::net::SocketAddr>(key.name)?),
                Kind::Count => drop::<u64>(self.get(key.name)?),
                Kind::Flag => drop::<bool>(self.get(key.name)?),
                Kind::Time => drop::<Duration>(self.time(key.name)?),
                Kind::TimeOrNone => drop::<Duration>(self.time_or_zero(key.name)?),
                Kind::Networks => drop(self.networks(key.name)?),
                Kind::Certificates => drop(self.roots(key.name)?),
                Kind::MasterKey => {
                    if let Some(text) = self.secret(key.name)? {
                        let (_, source) = self.text(key.name)?;
                        store::MasterKey::from_hex(text)
                            .map_err(|error| anyhow!("{source}: `{}`: {error}", key.name))?;
                    }
                }
                Kind::DatabaseUrl => drop(self.database()?),
            }
        }
        let (text, source) = self.text("log.format")?;
        if !["auto", "text", "json"].contains(&text) {
            bail!("{source}: `log.format` must be one of auto, text, json, not `{text}`");
        }
        for name in ["retries_per_hundred", "retries_per_second", "breaker_failures"] {
            self.get::<u32>(&format!("routing.{name}"))?;
        }
        let (text, source) = self.text("routing.attempts_per_group")?;
        if self.get::<u32>("routing.attempts_per_group")? == 0 {
            bail!("{source}: `routing.attempts_per_group` must be at least 1, not `{text}`");
        }
        Ok(())
    }

    /// How many threads serve requests; 0 is one for each core. An error where there are more than any machine needs.
    pub(crate) fn workers(&self) -> anyhow::Result<usize> {
        let (text, source) = self.text("worker_threads")?;
        match self.get("worker_threads")? {
            count @ 0..=1024 => Ok(count),
            _ => bail!("{source}: `worker_threads` must be at most 1024, not `{text}`"),
        }
    }

    /// The PostgreSQL database; `None` for SQLite in the data directory.
    ///
    /// # Errors
    /// A URL that is none, which is not shown; too few connections.
    pub(crate) fn database(&self) -> anyhow::Result<Option<PostgresServer>> {
        let Some(url) = self.secret("database_url")? else { return Ok(None) };
        let (_, source) = self.text("database_url")?;
        let url = url.parse().map_err(|error| anyhow!("{source}: `database_url`: {error}"))?;
        let connections: u32 = self.get("database.connections")?;
        if connections < 3 {
            let (text, source) = self.text("database.connections")?;
            bail!("{source}: `database.connections` must be at least 3, not `{text}`");
        }
        let statement_timeout = self.time("database.statement_timeout")?;
        Ok(Some(PostgresServer { url, connections, statement_timeout }))
    }

    /// The directory of all data.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        Ok(PathBuf::from(self.text("data_dir")?.0))
    }

    /// Puts the data elsewhere, unless somebody said where.
    pub(crate) fn data_dir_or(
        &self,
        other: impl FnOnce() -> anyhow::Result<PathBuf>,
    ) -> anyhow::Result<PathBuf> {
        match self.text("data_dir")?.1 {
            Source::Default => other(),
            _ => self.data_dir(),
        }
    }
}

fn flatten(prefix: String, table: toml::Table, found: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(name, inner, found),
            toml::Value::String(text) => found.push((name, text)),
            toml::Value::Array(items) => {
                let items =
                    items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
                found.push((name, items.collect::<Vec<_>>().join(",")));
            }
            other => found.push((name, other.to_string())),
        }
    }
}

/// How many leading and common letters two names share; to guess what was meant.
fn likeness(known: &str, given: &str) -> usize {
    let leading = known.chars().zip(given.chars()).take_while(|(a, b)| a == b).count();
    let common = given.chars().filter(|letter| known.contains(*letter)).count();
    (leading * 4 + common).saturating_sub(known.len().abs_diff(given.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, variables: &[(&str, &str)], options: Options) -> anyhow::Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("apsis.toml");
        std::fs::write(&path, file).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::from(&Options { config: Some(path), ..options }, variables)
    }

    fn error(file: &str, variables: &[(&str, &str)], options: Options) -> String {
        format!("{:#}", read(file, variables, options).err().unwrap())
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file() {
        let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"f\"\n[timeouts]\ndrain = \"1s\"\n";
        let variables = [("APSIS_LISTEN", "127.0.0.1:2"), ("APSIS_DATA_DIR", "e"), ("OTHER", "x")];
        let options = Options { listen: Some("127.0.0.1:3".to_owned()), ..Options::default() };
        let config = read(file, &variables, options).unwrap();
        assert_eq!(config.get::<String>("listen").unwrap(), "127.0.0.1:3");
        assert_eq!(config.data_dir().unwrap(), PathBuf::from("e"));
        assert_eq!(config.time("timeouts.drain").unwrap(), Duration::from_secs(1));
        assert_eq!(config.get::<u64>("stream.step").unwrap(), 2048);
    }

    #[test]
    fn says_where_what_and_how() {
        let none = Options::default;
        assert!(error("lisen = 1", &[], none()).contains("unknown key `lisen`; did you mean `listen`?"));
        assert!(error("[timeouts]\ndrian = 1", &[], none()).contains("did you mean `timeouts.drain`?"));
        let message = error("", &[("APSIS_TIMEOUTS_DRAIN", "soon")], none());
        assert!(
            message.contains("environment variable APSIS_TIMEOUTS_DRAIN: `timeouts.drain` must be a time"),
            "{message}"
        );
        assert!(error("", &[("APSIS_NOPE", "1")], none()).contains("unknown key `nope`"));
        assert!(error("listen = \"here\"", &[], none()).contains("`listen` cannot be `here`"));
        let set = Options { set: vec!["log.format=xml".to_owned()], ..none() };
        assert!(error("", &[], set).contains("must be one of auto, text, json"));
        let set = Options { set: vec!["routing.attempts_per_group=0".to_owned()], ..none() };
        assert!(error("", &[], set).contains("`routing.attempts_per_group` must be at least 1"));
        let set = Options { set: vec!["routing.retries_per_hundred=4294967296".to_owned()], ..none() };
        assert!(error("", &[], set).contains("`routing.retries_per_hundred` cannot be `4294967296`"));
        let roots = |path: &str| Options { set: vec![format!("upstream.ca_file={path}")], ..none() };
        let message = error("", &[], roots("/nowhere.pem"));
        assert!(message.contains("`upstream.ca_file`: cannot read /nowhere.pem"), "{message}");
        let message = error("", &[], roots(file!().trim_start_matches("crates/server/")));
        assert!(
            message.contains("`upstream.ca_file`: src/config/mod.rs: there is no certificate"),
            "{message}"
        );
        let secret = error("", &[("APSIS_MASTER_KEY", "deadbeef")], none());
        assert!(secret.contains("64 hexadecimal digits") && !secret.contains("deadbeef"), "{secret}");
        let secret = error("", &[("APSIS_DATABASE_URL", "mysql://ada:s3cret@db/apsis")], none());
        assert!(secret.contains("`database_url`: the URL of a database is such as"), "{secret}");
        assert!(!secret.contains("s3cret"), "{secret}");
        let few = [("APSIS_DATABASE_URL", "postgres://db/apsis"), ("APSIS_DATABASE_CONNECTIONS", "2")];
        assert!(error("", &few, none()).contains("`database.connections` must be at least 3, not `2`"));
        assert!(error("", &[("APSIS_WORKER_THREADS", "1025")], none()).contains("at most 1024, not `1025`"));
    }

    #[test]
    fn a_secret_may_stand_in_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, format!("{}\n", "ab".repeat(32))).unwrap();
        let config =
            read("", &[("APSIS_MASTER_KEY_FILE", path.to_str().unwrap())], Options::default()).unwrap();
        assert_eq!(config.secret("master_key").unwrap(), Some("ab".repeat(32).as_str()));
    }

    #[test]
    fn every_key_is_documented_with_its_default() {
        let documented = include_str!("../../../../docs/configuration.md");
        for key in KEYS {
            let default =
                if key.default.is_empty() { "–".to_owned() } else { format!("`{}`", key.default) };
            let row = format!("| `{}` | {default} |", key.name);
            assert!(documented.contains(&row), "docs/configuration.md has no row that begins with {row}");
        }
        let rows = documented.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, KEYS.len(), "docs/configuration.md has a row for a key that does not exist");
    }
}
