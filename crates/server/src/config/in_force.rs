//! The configuration as the console shows it to administrators: every key, where its value came from, and no secret.

use web::{InForce, ValueSource};

use super::{Config, KEYS, Key, Source};

impl Config {
    /// Every key as it is in force.
    pub(crate) fn in_force(&self) -> Vec<InForce> {
        let one = |key: &Key| {
            let (value, source) = self.0.get(key.name)?;
            Some(InForce {
                name: key.name,
                value: (!key.kind.is_secret()).then(|| value.to_string()),
                is_set: !value.is_empty(),
                default: key.default,
                source: match source {
                    Source::Default => ValueSource::Default,
                    Source::File(path) => ValueSource::File(path.display().to_string()),
                    Source::Environment(name) => ValueSource::Environment(name.clone()),
                    Source::Flag => ValueSource::CommandLine,
                },
            })
        };
        KEYS.iter().filter_map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Options;

    #[test]
    fn every_key_is_shown_with_its_source_and_a_meaning_and_no_secret() {
        let secret = "postgres://user:secret@host/database";
        let variables = [("APSIS_DATABASE_URL", secret), ("APSIS_LOG_LEVEL", "warn")];
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let options = Options { set: vec!["stream.step=99".to_owned()], ..Options::default() };
        let found = Config::from(&options, variables).unwrap().in_force();
        assert_eq!(found.len(), KEYS.len());
        for one in &found {
            assert!(web::is_explained(one.name), "the console does not say what {} means", one.name);
            assert!(!format!("{one:?}").contains("secret"), "{}", one.name);
        }
        let named = |name: &str| found.iter().find(|one| one.name == name).unwrap();
        let environment = |name: &str| ValueSource::Environment(name.to_owned());
        let url = named("database_url");
        assert_eq!((&url.value, url.is_set), (&None, true));
        assert_eq!(url.source, environment("APSIS_DATABASE_URL"));
        assert!(!named("master_key").is_set);
        assert_eq!(named("log.level").source, environment("APSIS_LOG_LEVEL"));
        assert_eq!(
            (named("stream.step").value.as_deref(), &named("stream.step").source),
            (Some("99"), &ValueSource::CommandLine)
        );
        assert_eq!(named("listen").source, ValueSource::Default);
    }
}
