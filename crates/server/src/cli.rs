//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// An AI-model API gateway that counts exactly.
#[derive(Parser)]
#[command(name = "apsis", version, about)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes. A flag beats the environment, which beats the file.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Address and port to listen on.
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,
    /// Directory of the database, the journal and the master key.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Any other configuration key; docs/configuration.md lists them.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the gateway.
    Serve {
        /// With a provider of its own, an API key and a token to try, in a fresh directory.
        #[arg(long)]
        demo: bool,
    },
    /// Validate the configuration and do nothing.
    Check,
    #[command(flatten)]
    Admin(Admin),
}

/// Commands that work on the database; a running server notices within a second.
#[derive(Subcommand)]
pub(crate) enum Admin {
    /// The ledger.
    #[command(subcommand)]
    Ledger(Ledger),
    /// API keys, and the master key.
    #[command(subcommand)]
    Key(Key),
    /// Accounts.
    #[command(subcommand)]
    Account(Account),
    /// Personal access tokens.
    #[command(subcommand)]
    Pat(Pat),
    /// Channels to upstreams.
    #[command(subcommand)]
    Channel(Channel),
    /// Prices of models.
    #[command(subcommand)]
    Price(Price),
    /// What is known of models beside their prices.
    #[command(subcommand)]
    Model(Model),
    /// Groups.
    #[command(subcommand)]
    Group(Group),
    /// Where requests go.
    #[command(subcommand)]
    Route(Route),
    /// Who changed what, newest first, tab separated.
    Audit {
        /// Only this kind of thing: account, api_key, channel, credential, group, model, password or price.
        #[arg(long)]
        object: Option<String>,
        /// The most lines.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
}

#[derive(Subcommand)]
pub(crate) enum Route {
    /// Print the channels that a request would try, in order, and why each other channel is not among them. Nothing
    /// is sent. What a running server knows of its channels' health is not known here: ask GET /api/route/explain.
    Explain {
        /// Id of the API key.
        #[arg(long, value_name = "ID")]
        key: i64,
        /// The model.
        #[arg(long)]
        model: String,
        /// The path that is asked, such as /v1/messages; chat completions when absent.
        #[arg(long)]
        path: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Ledger {
    /// Prove that pools, leases and charges add up; exit 1 if they do not.
    Verify,
}

#[derive(Subcommand)]
pub(crate) enum Key {
    /// Seal everything again under a new master key. The server must be stopped.
    RotateMaster,
    /// Make an API key; it is printed.
    Create {
        /// Username of its account.
        #[arg(long, default_value = "root")]
        account: String,
        /// A name for people.
        #[arg(long, default_value = "")]
        name: String,
        /// Quota units; without a limit when absent.
        #[arg(long)]
        quota: Option<i64>,
        /// File with a key that was made elsewhere, to be taken over as it is; `-` for standard input. A new one is
        /// made when absent.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Its group; its account's when absent, `auto` for its account's automatic list.
        #[arg(long, default_value = "")]
        group: String,
        /// Try the next group of the automatic list when the attempts of one are used up.
        #[arg(long)]
        cross_group_retry: bool,
    },
    /// List the API keys of an account, without the keys themselves.
    List {
        /// Username of the account.
        #[arg(long, default_value = "root")]
        account: String,
    },
    /// Switch an API key off.
    Disable(OwnKey),
    /// Switch an API key on.
    Enable(OwnKey),
    /// Delete an API key for good.
    Delete(OwnKey),
}

#[derive(Args)]
pub(crate) struct OwnKey {
    /// Its id.
    pub(crate) id: i64,
    /// Username of its account.
    #[arg(long, default_value = "root")]
    pub(crate) account: String,
}

#[derive(Subcommand)]
pub(crate) enum Account {
    /// Make an account.
    Create {
        /// Its unique name.
        username: String,
        /// 1 member, 10 administrator, 100 root.
        #[arg(long, default_value_t = 1)]
        role: i64,
        /// Quota units that it begins with; without a limit when absent.
        #[arg(long)]
        balance: Option<i64>,
        /// Its group.
        #[arg(long, default_value = "default")]
        group: String,
    },
    /// List the accounts.
    List,
    /// Set the password that opens the console; the account's sessions end.
    SetPassword {
        /// Its unique name.
        username: String,
        /// A file with the password; `-` for standard input.
        #[arg(long)]
        password_file: PathBuf,
    },
    /// Set what remains of a balance.
    SetBalance {
        /// Its unique name.
        username: String,
        /// Quota units.
        units: i64,
    },
    /// Set the groups of an account.
    SetGroups {
        /// Its unique name.
        username: String,
        /// Its own group.
        #[arg(long)]
        own: Option<String>,
        /// Further groups that its keys may name, comma separated.
        #[arg(long, value_delimiter = ',')]
        further: Option<Vec<String>>,
        /// The groups of its keys whose group is `auto`, in order, comma separated.
        #[arg(long, value_delimiter = ',')]
        auto: Option<Vec<String>>,
    },
    /// Shut an account out.
    Disable {
        /// Its unique name.
        username: String,
    },
    /// Let an account in again.
    Enable {
        /// Its unique name.
        username: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Pat {
    /// Make a personal access token; it is printed this once.
    Create {
        /// Username of its account.
        #[arg(long, default_value = "root")]
        account: String,
        /// A name for people.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List the tokens of an account.
    List {
        /// Username of the account.
        #[arg(long, default_value = "root")]
        account: String,
    },
    /// End a token.
    Revoke(OwnKey),
}

#[derive(Subcommand)]
pub(crate) enum Channel {
    /// Make a channel. Its credential is read from a file or from standard input, never from an argument.
    Add {
        /// A name for people.
        #[arg(long)]
        name: String,
        /// What the upstream speaks, such as openai, anthropic, gemini, azure or compatible.
        #[arg(long, default_value = "openai")]
        kind: String,
        /// The upstream's base URL, such as https://api.openai.com/v1; that of its kind when absent.
        #[arg(long)]
        base_url: Option<String>,
        /// The models that it serves, comma separated; `ours=theirs` where the upstream has another name.
        #[arg(long, value_delimiter = ',', required = true)]
        models: Vec<String>,
        /// The groups that may use it, comma separated.
        #[arg(long, value_delimiter = ',', default_value = "default")]
        groups: Vec<String>,
        /// File with the upstream's API key; `-` for standard input; none when absent.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Higher comes first.
        #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
        priority: i64,
        /// Its share among channels of the same priority.
        #[arg(long, default_value_t = 1)]
        weight: u32,
    },
    /// List the channels.
    List,
    /// Change a channel; what is not said stays. New models or groups replace the old ones.
    Set {
        /// Its id.
        id: i64,
        /// A name for people.
        #[arg(long)]
        name: Option<String>,
        /// What the upstream speaks.
        #[arg(long)]
        kind: Option<String>,
        /// The upstream's base URL; its API key is asked for again then.
        #[arg(long, requires = "key_file")]
        base_url: Option<String>,
        /// The models that it serves, comma separated; `ours=theirs` where the upstream has another name.
        #[arg(long, value_delimiter = ',')]
        models: Option<Vec<String>>,
        /// The groups that may use it, comma separated.
        #[arg(long, value_delimiter = ',')]
        groups: Option<Vec<String>>,
        /// File with the upstream's API key, instead of all that the channel has; `-` for standard input.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Higher comes first.
        #[arg(long, allow_negative_numbers = true)]
        priority: Option<i64>,
        /// Its share among channels of the same priority.
        #[arg(long)]
        weight: Option<u32>,
    },
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

#[derive(Subcommand)]
pub(crate) enum Price {
    /// Set the price of a model from now or from a later moment on. Prices are quota units for a million.
    Set(Box<NewPrice>),
    /// List the prices in force.
    List {
        /// Every version of this model's price instead: past, in force and to come, the latest first.
        #[arg(long)]
        model: Option<String>,
    },
    /// Take in a file of models and prices, all of it or nothing; docs/api.md says what stands in it.
    Import {
        /// The file (TOML); `-` for standard input. The list that comes with the program when absent.
        file: Option<PathBuf>,
        /// Take prices that are more than tenfold those in force, or less than a tenth of them.
        #[arg(long)]
        allow_leaps: bool,
    },
    /// Take back a version that is not in force yet.
    Withdraw {
        /// Its number.
        version: i64,
    },
}

#[derive(Args)]
pub(crate) struct NewPrice {
    /// The model.
    pub(crate) model: String,
    /// Input tokens.
    #[arg(long)]
    pub(crate) input: i64,
    /// Output tokens.
    #[arg(long)]
    pub(crate) output: i64,
    /// Input tokens that a cache served; the price of input when absent.
    #[arg(long)]
    pub(crate) cached_input: Option<i64>,
    /// Input tokens written to a cache; the price of input when absent.
    #[arg(long)]
    pub(crate) cache_write: Option<i64>,
    /// Input tokens written to a cache that keeps them for an hour; the price of a cache write when absent.
    #[arg(long)]
    pub(crate) cache_write_1h: Option<i64>,
    /// The part of input that is sound; the price of input when absent.
    #[arg(long)]
    pub(crate) input_audio: Option<i64>,
    /// The part of input that is images; the price of input when absent.
    #[arg(long)]
    pub(crate) input_image: Option<i64>,
    /// The part of output that is reasoning; the price of output when absent.
    #[arg(long)]
    pub(crate) output_reasoning: Option<i64>,
    /// The part of output that is sound; the price of output when absent.
    #[arg(long)]
    pub(crate) output_audio: Option<i64>,
    /// The part of output that is images; the price of output when absent.
    #[arg(long)]
    pub(crate) output_image: Option<i64>,
    /// A call, in quota units.
    #[arg(long, default_value_t = 0)]
    pub(crate) per_call: i64,
    /// A million seconds of sound or video.
    #[arg(long, default_value_t = 0)]
    pub(crate) per_second: i64,
    /// A million images.
    #[arg(long, default_value_t = 0)]
    pub(crate) per_image: i64,
    /// The most output tokens that one answer can have.
    #[arg(long)]
    pub(crate) max_output: u64,
    /// The most tokens that one image of a request can be; 6000 when absent.
    #[arg(long)]
    pub(crate) image_tokens: Option<u64>,
    /// Output may hide reasoning.
    #[arg(long)]
    pub(crate) reasoning: bool,
    /// From when on, in Unix seconds; now when absent or past.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) effective: Option<i64>,
}

#[derive(Subcommand)]
pub(crate) enum Model {
    /// List what is known of models.
    List,
    /// Say what is known of a model; what is not said stays.
    Set(Box<Facts>),
    /// Forget what is known of a model. Its prices stay.
    Forget {
        /// The model.
        model: String,
    },
}

#[derive(Args)]
pub(crate) struct Facts {
    /// The model.
    pub(crate) model: String,
    /// Who makes it.
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// What it is for: text, embedding, image, audio, video.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// A sentence for people.
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// What it can do, such as vision or tools, comma separated.
    #[arg(long, value_delimiter = ',')]
    pub(crate) features: Option<Vec<String>>,
    /// What it takes, such as text or image, comma separated.
    #[arg(long, value_delimiter = ',')]
    pub(crate) input_modalities: Option<Vec<String>>,
    /// What it gives, comma separated.
    #[arg(long, value_delimiter = ',')]
    pub(crate) output_modalities: Option<Vec<String>>,
    /// The dialects in which it may be asked, such as openai or embeddings, comma separated.
    #[arg(long, value_delimiter = ',')]
    pub(crate) endpoints: Option<Vec<String>>,
    /// The most tokens of input and output together.
    #[arg(long)]
    pub(crate) context_length: Option<u64>,
    /// The provider's page about it.
    #[arg(long)]
    pub(crate) doc_url: Option<String>,
    /// Whether the public catalogue shows it.
    #[arg(long)]
    pub(crate) listed: Option<bool>,
}

#[derive(Subcommand)]
pub(crate) enum Group {
    /// Make a group, or change the one of this name.
    Set {
        /// Its name.
        name: String,
        /// What every price is multiplied with, such as 1 or 0.85.
        #[arg(long, default_value = "1")]
        ratio: String,
        /// A sentence for people.
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List the groups.
    List,
    /// Remove a group that nothing names.
    Remove {
        /// Its name.
        name: String,
    },
}
