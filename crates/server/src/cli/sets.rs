//! `--set`, wherever it stands.
//!
//! clap lets an option that every command takes stand before the command and behind it, and forgets what stood before where
//! something stands behind. A setting that is dropped without a word is worse than one that is refused, so they are gathered
//! first.

use std::ffi::OsString;

use clap::Parser;

use super::Cli;

const SET: &str = "--set";

impl Cli {
    /// Reads the arguments of the process. Whatever is wrong with them is told, and ends it.
    pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Self {
        let (sets, rest) = gather(arguments);
        let mut cli = Self::parse_from(rest);
        // What clap found has no value that could be taken from it, and clap has said so.
        cli.options.set = sets;
        cli
    }
}

/// The values of every `--set`, and all other arguments. One that is not whole stays where it is.
fn gather(arguments: impl Iterator<Item = OsString>) -> (Vec<String>, Vec<OsString>) {
    let (mut sets, mut rest) = (Vec::new(), Vec::new());
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            rest.push(argument);
            break;
        }
        if argument == SET
            && let Some(value) =
                arguments.next_if(|value| value.to_str().is_some_and(|value| !value.starts_with('-')))
        {
            sets.extend(value.into_string());
            continue;
        }
        match argument.to_str().and_then(|argument| argument.strip_prefix(SET)?.strip_prefix('=')) {
            Some(value) => sets.push(value.to_owned()),
            None => rest.push(argument),
        }
    }
    rest.extend(arguments);
    (sets, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_gathered_from_before_and_behind_the_command() {
        for (arguments, expected) in [
            ("apsis --set a=1 serve --set b=2 --demo --set=c=3", &["a=1", "b=2", "c=3"][..]),
            ("apsis serve", &[]),
            ("apsis --set=a=1 check", &["a=1"]),
        ] {
            let cli = Cli::read(arguments.split(' ').map(OsString::from));
            assert_eq!(cli.options.set, expected, "{arguments}");
        }
    }

    #[test]
    fn what_has_no_value_is_left_for_clap_to_refuse() {
        for arguments in ["apsis serve --set", "apsis --set --demo serve", "apsis check -- --set=a=1"] {
            let (sets, rest) = gather(arguments.split(' ').map(OsString::from));
            assert!(sets.is_empty(), "{arguments}");
            assert!(Cli::try_parse_from(rest).is_err(), "{arguments}");
        }
    }
}
