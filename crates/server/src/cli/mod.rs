//! The command line.

pub(crate) mod channel;
mod price;
mod sets;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use channel::{Channel, Credential};
pub(crate) use price::{Facts, Model, NewPrice, Price};

/// An AI-model API gateway that counts exactly.
#[derive(Parser)]
#[command(name = "apsis", version)]
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
    /// Make, list, switch and delete API keys; seal everything under a new master key.
    #[command(subcommand)]
    Key(Key),
    /// Make, list and change accounts.
    #[command(subcommand)]
    Account(Account),
    /// Make, list and revoke personal access tokens.
    #[command(subcommand)]
    Pat(Pat),
    /// Make, list, test and change channels to upstreams.
    #[command(subcommand)]
    Channel(Channel),
    /// Set, list, import and withdraw prices of models.
    #[command(subcommand)]
    Price(Price),
    /// Say and list what is known of models beside their prices.
    #[command(subcommand)]
    Model(Model),
    /// Make, list and remove groups.
    #[command(subcommand)]
    Group(Group),
    /// Explain where a request would go.
    #[command(subcommand)]
    Route(Route),
    /// Who changed what, newest first, tab separated.
    Audit {
        /// Only this kind of thing: account, api_key, channel, credential, group, model, password, price or suspense.
        #[arg(long)]
        object: Option<String>,
        /// The most lines.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// Prove the ledger; see and resolve what stands in suspense.
    #[command(subcommand)]
    Ledger(Ledger),
    /// Bring the schema of the database up to date, which a start does by itself, or say what that would do.
    #[command(subcommand)]
    Migrate(Migrate),
    /// Write everything that is in the database at one moment into a file.
    ///
    /// Beside running servers or without them. The master key is not in it: keep a copy of that elsewhere.
    Backup(Backup),
    /// Make the database of a backup, where nothing is yet.
    ///
    /// In an empty PostgreSQL database, or as the SQLite database of a data directory with nothing but the master key.
    Restore(Restore),
    /// Move the installation from SQLite to PostgreSQL.
    ///
    /// To the empty database that `database_url` names; the ledger is proved on both sides. The server must be stopped.
    Move,
}

#[derive(Subcommand)]
pub(crate) enum Route {
    /// Print the channels that a request would try, in order, and why each other channel is not among them.
    ///
    /// Nothing is sent. What a running server knows of its channels' health is not known here: ask GET /api/route/explain.
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
pub(crate) enum Migrate {
    /// List every step, tab separated: number, state (applied, pending, unknown), name. Nothing is changed.
    Status,
    /// List the steps that `apply` would take. Nothing is changed.
    Plan,
    /// Bring the schema up to date.
    Apply,
}

#[derive(Args)]
pub(crate) struct Backup {
    /// The file, which must not be there yet; or a directory, in which it gets a name of the time.
    pub(crate) file: PathBuf,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The backup.
    pub(crate) file: PathBuf,
    /// Prove the ledger of the restored database; exit 1 if it does not add up.
    #[arg(long)]
    pub(crate) verify: bool,
    /// What becomes of units that servers had leased when the backup was made, and may have spent since.
    #[arg(long, value_enum, default_value_t = Leases::Suspense)]
    pub(crate) leases: Leases,
}

/// What becomes of leased units.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Leases {
    /// They can be spent by nobody until an operator decides.
    Suspense,
    /// They can be spent again.
    Return,
}

#[derive(Subcommand)]
pub(crate) enum Ledger {
    /// Prove that pools, leases and charges add up; exit 1 if they do not.
    Verify,
    /// List what silent servers have leased and may have spent, tab separated.
    ///
    /// It goes back by itself when such a server is back with its journal.
    Suspense,
    /// Decide about all that stands in suspense for a journal that is lost for good, and shut that journal out.
    ///
    /// Refused while its server is alive.
    Resolve {
        /// The journal, as `ledger suspense` names it.
        journal: String,
        #[command(flatten)]
        decision: Decision,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Decision {
    /// All of it counts as spent: nobody gets more than was paid for.
    #[arg(long)]
    pub(crate) charge: bool,
    /// All of it goes back to its keys and accounts: what the server spent of it is free.
    #[arg(long = "return")]
    pub(crate) give_back: bool,
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
    /// Take the second factor from an account whose owner has lost it.
    RemoveSecondFactor {
        /// Its unique name.
        username: String,
    },
    /// Take all passkeys from an account whose owner has lost them.
    RemovePasskeys {
        /// Its unique name.
        username: String,
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
