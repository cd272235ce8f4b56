//! The commands about channels and their credentials.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum Channel {
    /// Make a channel. Its credential is read from a file or from standard input, never from an argument.
    Add(Add),
    /// List the channels.
    List,
    /// Change a channel; what is not said stays. New models or groups replace the old ones.
    Set(Set),
    /// Send a channel one real, minimal request, enabled or not, and say what came of it; exit 1 if it does not answer.
    Test {
        /// Its id.
        id: i64,
        /// The model; one of the channel's when absent.
        #[arg(long)]
        model: Option<String>,
        /// Ask for embeddings instead of a chat completion.
        #[arg(long)]
        embeddings: bool,
    },
    /// The credentials of channels.
    #[command(subcommand)]
    Credential(Credential),
    /// Use a channel again.
    Enable {
        /// Its id.
        id: i64,
    },
    /// Use a channel no more.
    Disable {
        /// Its id.
        id: i64,
    },
    /// Remove a channel.
    Remove {
        /// Its id.
        id: i64,
    },
}

#[derive(Args)]
pub(crate) struct Add {
    /// A name for people.
    #[arg(long)]
    pub(crate) name: String,
    /// What the upstream speaks, such as openai, anthropic, gemini, azure, vertex, bedrock or compatible.
    #[arg(long, default_value = "openai")]
    pub(crate) kind: String,
    /// The upstream's base URL, such as https://api.openai.com/v1; that of its kind when absent.
    #[arg(long)]
    pub(crate) base_url: Option<String>,
    /// The models that it serves, comma separated; `ours=theirs` where the upstream has another name.
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) models: Vec<String>,
    /// The groups that may use it, comma separated.
    #[arg(long, value_delimiter = ',', default_value = "default")]
    pub(crate) groups: Vec<String>,
    /// File with the upstream's API key; `-` for standard input; none when absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Higher comes first.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) priority: i64,
    /// Its share among channels of the same priority.
    #[arg(long, default_value_t = 1)]
    pub(crate) weight: u32,
}

#[derive(Args)]
pub(crate) struct Set {
    /// Its id.
    pub(crate) id: i64,
    /// A name for people.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What the upstream speaks.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// The upstream's base URL; its API key is asked for again then.
    #[arg(long, requires = "key_file")]
    pub(crate) base_url: Option<String>,
    /// The models that it serves, comma separated; `ours=theirs` where the upstream has another name.
    #[arg(long, value_delimiter = ',')]
    pub(crate) models: Option<Vec<String>>,
    /// The groups that may use it, comma separated.
    #[arg(long, value_delimiter = ',')]
    pub(crate) groups: Option<Vec<String>>,
    /// File with the upstream's API key, instead of all that the channel has; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Higher comes first.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) priority: Option<i64>,
    /// Its share among channels of the same priority.
    #[arg(long)]
    pub(crate) weight: Option<u32>,
}

#[derive(Subcommand)]
pub(crate) enum Credential {
    /// Give a channel a further credential; they take turns. It is read from a file or from standard input.
    Add {
        /// The channel's id.
        channel: i64,
        /// File with the upstream's API key; `-` for standard input.
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
        /// A name for people.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List the credentials, without their texts.
    List,
    /// Use a credential again; its provider's refusal is forgotten.
    Enable {
        /// Its id.
        id: i64,
    },
    /// Use a credential no more.
    Disable {
        /// Its id.
        id: i64,
    },
    /// Remove a credential.
    Remove {
        /// Its id.
        id: i64,
    },
}
