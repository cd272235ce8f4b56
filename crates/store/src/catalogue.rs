//! The catalogue: what is known of models beside their prices, and lists of models that come together.

use std::collections::HashSet;

use model::clock::Timestamp;
use serde_json::{Value, json};

use crate::{
    account::split,
    audit::Entry,
    change::{self, Kind},
    channel::MAX_MODEL,
    database::Tx,
    price::{Leaps, NewPrice},
    sql::Run,
    store::{Store, StoreError},
};

/// The longest text of a fact, in bytes.
const LONGEST: usize = 2_000;

/// What is known of a model beside its price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// The model.
    pub name: String,
    /// Who makes it, such as `OpenAI`; empty when nobody said.
    pub provider: String,
    /// What it is for: `text`, `embedding`, `image`, `audio`, `video`.
    pub kind: String,
    /// A sentence for people.
    pub description: String,
    /// What it can do, such as `vision` or `tools`.
    pub features: Vec<String>,
    /// What it takes, such as `text` or `image`.
    pub input_modalities: Vec<String>,
    /// What it gives.
    pub output_modalities: Vec<String>,
    /// The dialects in which it may be asked, such as `openai` or `embeddings`.
    pub endpoints: Vec<String>,
    /// The most tokens of input and output together.
    pub context_length: Option<u64>,
    /// The provider's page about it.
    pub doc_url: String,
    /// Where these facts and the price are from.
    pub source: String,
    /// The day that they are of.
    pub as_of: String,
    /// Whether the public catalogue shows it.
    pub listed: bool,
}

impl ModelFacts {
    /// Those of a model of which nobody has said anything.
    #[must_use]
    pub fn unknown(name: &str) -> Self {
        Self { name: name.to_owned(), kind: "text".to_owned(), listed: true, ..Self::default() }
    }

    /// Whether every fact may be stored.
    ///
    /// # Errors
    /// A sentence that names the first that may not.
    pub fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.len() > MAX_MODEL || self.name.contains(',') {
            return Err(format!("a model's name must have 1 to {MAX_MODEL} bytes and no comma"));
        }
        for (name, text) in [
            ("provider", &self.provider),
            ("type", &self.kind),
            ("description", &self.description),
            ("api_doc_url", &self.doc_url),
            ("source", &self.source),
            ("as_of", &self.as_of),
        ] {
            if text.len() > LONGEST || text.chars().any(char::is_control) {
                return Err(format!("{name} must have at most {LONGEST} bytes and no control characters"));
            }
        }
        for (name, list) in [
            ("features", &self.features),
            ("input_modalities", &self.input_modalities),
            ("output_modalities", &self.output_modalities),
            ("endpoints", &self.endpoints),
        ] {
            let fits = |entry: &String| {
                (1..=64).contains(&entry.len())
                    && entry.trim() == entry
                    && !entry.chars().any(|letter| letter == ',' || letter.is_control())
            };
            if list.len() > 32 || !list.iter().all(fits) {
                return Err(format!("{name} must be at most 32 words of 1 to 64 bytes, without commas"));
            }
        }
        if self.context_length.is_some_and(|length| !(1..=u64::from(u32::MAX)).contains(&length)) {
            return Err(format!("context_length must be between 1 and {}", u32::MAX));
        }
        Ok(())
    }

    fn state(&self) -> Value {
        json!({
            "provider": self.provider, "type": self.kind, "description": self.description, "features": self.features,
            "input_modalities": self.input_modalities, "output_modalities": self.output_modalities,
            "endpoints": self.endpoints, "context_length": self.context_length, "api_doc_url": self.doc_url,
            "source": self.source, "as_of": self.as_of, "listed": self.listed,
        })
    }
}

/// A model of a list: what is known of it, and what it costs.
#[derive(Clone, Debug)]
pub struct Listing {
    /// What is known of it.
    pub facts: ModelFacts,
    /// What it costs, from which moment on.
    pub prices: Vec<NewPrice>,
}

/// What came of a list of models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Models whose facts are new or others than before.
    pub models: usize,
    /// New versions of prices.
    pub prices: usize,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    provider: String,
    kind: String,
    description: String,
    features: String,
    input_modalities: String,
    output_modalities: String,
    endpoints: String,
    context_length: Option<i64>,
    doc_url: String,
    source: String,
    as_of: String,
    listed: i64,
}

impl From<Row> for ModelFacts {
    fn from(row: Row) -> Self {
        Self {
            name: row.name,
            provider: row.provider,
            kind: row.kind,
            description: row.description,
            features: split(&row.features),
            input_modalities: split(&row.input_modalities),
            output_modalities: split(&row.output_modalities),
            endpoints: split(&row.endpoints),
            context_length: row.context_length.map(i64::unsigned_abs),
            doc_url: row.doc_url,
            source: row.source,
            as_of: row.as_of,
            listed: row.listed != 0,
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT name, provider, kind, description, features, input_modalities, output_modalities, endpoints,
                context_length, doc_url, source, as_of, listed FROM model ",
            $rest
        )
    };
}

impl Store {
    /// What is known of every model, in the order of their names.
    ///
    /// # Errors
    /// The database.
    pub async fn models(&self) -> Result<Vec<ModelFacts>, StoreError> {
        let rows: Vec<Row> = self.read().await?.query(select!("ORDER BY name")).fetch_all().await?;
        Ok(rows.into_iter().map(ModelFacts::from).collect())
    }

    /// What is known of one model.
    ///
    /// # Errors
    /// The database.
    pub async fn model(&self, name: &str) -> Result<Option<ModelFacts>, StoreError> {
        let row: Option<Row> =
            self.read().await?.query(select!("WHERE name = $1")).bind(name).fetch_optional().await?;
        Ok(row.map(ModelFacts::from))
    }

    /// Says what is known of a model.
    ///
    /// # Errors
    /// A fact that may not be stored.
    pub async fn put_model(&self, facts: &ModelFacts, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        self.put_model_in(&mut tx, facts, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets what is known of a model. Its prices stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn forget_model(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let before = model_in(&mut tx, name).await?.ok_or(StoreError::NotFound)?;
        tx.query("DELETE FROM model WHERE name = $1").bind(name).execute().await?;
        let (id, before) = (name.to_owned(), Some(before.state()));
        self.audit(&mut tx, Entry { action: "delete", object: "model", id, before, after: None }, now)
            .await?;
        change::record(&mut tx, Kind::Routing, 0, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes a list of models in, all of it or nothing. What the database says already is not written again.
    ///
    /// # Errors
    /// A fact or a number that may not be stored; [`StoreError::Leap`].
    pub async fn import(
        &self,
        list: &[Listing],
        leaps: Leaps,
        now: Timestamp,
    ) -> Result<Imported, StoreError> {
        let mut tx = self.write().await?;
        let mut done = Imported::default();
        for listing in list {
            done.models += usize::from(self.put_model_in(&mut tx, &listing.facts, now).await?);
            for price in &listing.prices {
                if !Self::has_price(&mut tx, price, now).await? {
                    self.put_price_in(&mut tx, price, leaps, now).await?;
                    done.prices += 1;
                }
            }
        }
        tx.commit().await?;
        Ok(done)
    }

    /// Takes in those models of a list that the database has never heard of: neither facts nor a price.
    ///
    /// # Errors
    /// A fact or a number that may not be stored.
    pub async fn import_unknown(&self, list: &[Listing], now: Timestamp) -> Result<Imported, StoreError> {
        let known: Vec<String> = self
            .read()
            .await?
            .query("SELECT name FROM model UNION SELECT model FROM price")
            .scalars()
            .await?;
        let known: HashSet<String> = known.into_iter().collect();
        let unknown = |listing: &&Listing| !known.contains(&listing.facts.name);
        let list: Vec<Listing> = list.iter().filter(unknown).cloned().collect();
        if list.is_empty() { Ok(Imported::default()) } else { self.import(&list, Leaps::Refused, now).await }
    }

    /// Writes facts; `false` when they were the same before.
    async fn put_model_in(
        &self,
        tx: &mut Tx,
        facts: &ModelFacts,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        facts.check().map_err(StoreError::Invalid)?;
        let before = model_in(tx, &facts.name).await?;
        if before.as_ref() == Some(facts) {
            return Ok(false);
        }
        let id: i64 = tx.query(
            "INSERT INTO model (name, provider, kind, description, features, input_modalities, output_modalities,
                endpoints, context_length, doc_url, source, as_of, listed)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (name) DO UPDATE SET provider = excluded.provider, kind = excluded.kind,
                description = excluded.description, features = excluded.features,
                input_modalities = excluded.input_modalities, output_modalities = excluded.output_modalities,
                endpoints = excluded.endpoints, context_length = excluded.context_length, doc_url = excluded.doc_url,
                source = excluded.source, as_of = excluded.as_of, listed = excluded.listed
             RETURNING id",
        )
        .bind(&facts.name)
        .bind(&facts.provider)
        .bind(&facts.kind)
        .bind(&facts.description)
        .bind(facts.features.join(","))
        .bind(facts.input_modalities.join(","))
        .bind(facts.output_modalities.join(","))
        .bind(facts.endpoints.join(","))
        .bind(facts.context_length.and_then(|length| i64::try_from(length).ok()))
        .bind(&facts.doc_url)
        .bind(&facts.source)
        .bind(&facts.as_of)
        .bind(i64::from(facts.listed))
        .scalar()
        .await?;
        let entry = Entry {
            action: if before.is_some() { "update" } else { "create" },
            object: "model",
            id: facts.name.clone(),
            before: before.as_ref().map(ModelFacts::state),
            after: Some(facts.state()),
        };
        self.audit(tx, entry, now).await?;
        change::record(tx, Kind::Routing, id, now).await?;
        Ok(true)
    }
}

async fn model_in(tx: &mut Tx, name: &str) -> Result<Option<ModelFacts>, StoreError> {
    let row: Option<Row> = tx.query(select!("WHERE name = $1")).bind(name).fetch_optional().await?;
    Ok(row.map(ModelFacts::from))
}
