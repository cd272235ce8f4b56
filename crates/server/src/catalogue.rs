//! `apsis price` and `apsis model`: what models cost and what is known of them, for a terminal.

use std::{
    io::{self, Read, Write},
    iter,
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use gateway::catalogue;
use model::{clock::Timestamp, id::PriceId, price::ListedRates};
use store::{Imported, Leaps, ModelFacts, ModelPrice, NewPrice, Store};

use crate::{
    admin::{ALL, DONE},
    cli::{self, Model, Price},
};

/// Runs one command of `apsis price`.
pub(crate) async fn prices(
    store: &Store,
    command: Price,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match command {
        Price::Set(new) => {
            let leaps = Leaps::when(new.confirm);
            store.put_price(&price(*new), leaps, now).await?;
        }
        Price::List { model: None } => print(store.prices(now).await?, out)?,
        Price::List { model } => print(store.price_versions(model.as_deref(), ALL).await?.0, out)?,
        Price::Import { file, confirm } => {
            let (name, text) = match &file {
                Some(path) => (path.display().to_string(), read(path)?),
                None => ("the list that comes with the program".to_owned(), catalogue::SHIPPED.to_owned()),
            };
            let done = catalogue::import(store, &text, Leaps::when(confirm), now).await;
            let Imported { models, prices } = done.with_context(|| format!("{name} is refused"))?;
            writeln!(out, "{models} models and {prices} prices are new")?;
        }
        Price::Withdraw { version } => store.withdraw_price(PriceId(version), now).await?,
    }
    Ok(DONE)
}

fn price(new: cli::NewPrice) -> NewPrice {
    NewPrice {
        model: new.model,
        rates: ListedRates {
            input: new.input,
            cached_input: new.cached_input,
            cache_write: new.cache_write,
            cache_write_1h: new.cache_write_1h,
            input_audio: new.input_audio,
            input_image: new.input_image,
            output: new.output,
            reasoning: new.output_reasoning,
            output_audio: new.output_audio,
            output_image: new.output_image,
        },
        tiers: new.tiers,
        per_call: new.per_call,
        per_second: new.per_second,
        per_image: new.per_image,
        tools: new.tools,
        terms: new.terms,
        sizes: new.sizes,
        max_output: new.max_output,
        image_tokens: new.image_tokens,
        reasoning: new.reasoning,
        effective: new.effective,
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// One line for each version, and one more for each length of input at which it changes.
fn print(prices: Vec<ModelPrice>, out: &mut impl Write) -> io::Result<()> {
    let kinds = ListedRates::default().rates().by_kind().map(|(kind, _)| kind.word()).join("\t");
    writeln!(
        out,
        "version\teffective\tmodel\tabove\t{kinds}\tper_call\tper_second\tper_image\tmax_output\timage_tokens\ttools\tservice_tiers\tper_second_by_size"
    )?;
    for known in prices {
        let (price, most, model) = (known.price, known.max_output, known.model);
        let (version, effective) = (price.id, known.effective.secs());
        let (call, second, image) = (price.per_call, price.per_second.0, price.per_image.0);
        let image_tokens = known.image_tokens.map_or("-".to_owned(), |tokens| tokens.to_string());
        let tools = words(price.tools.iter().map(|tool| (tool.tool.word(), tool.rate.0)));
        let terms = words(price.terms.iter().map(|term| (term.term.word(), term.ratio.0)));
        let sizes = words(price.sizes.iter().map(|size| (size.size.word(), size.rate.0)));
        let tiers = price.tiers.iter().map(|tier| (tier.above, &tier.rates));
        for (above, rates) in iter::once((0, &price.rates)).chain(tiers) {
            let rates = rates.by_kind().map(|(_, rate)| rate.0.to_string()).join("\t");
            writeln!(
                out,
                "{version}\t{effective}\t{model}\t{above}\t{rates}\t{call}\t{second}\t{image}\t{most}\t{image_tokens}\t{tools}\t{terms}\t{sizes}"
            )?;
        }
    }
    Ok(())
}

/// Names with their numbers, as `apsis price set` takes them.
fn words(named: impl Iterator<Item = (&'static str, i64)>) -> String {
    let words: Vec<String> = named.map(|(name, number)| format!("{name}={number}")).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(",") }
}

/// Runs one command of `apsis model`.
pub(crate) async fn models(
    store: &Store,
    command: Model,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match command {
        Model::List => {
            writeln!(
                out,
                "model\tprovider\ttype\tfeatures\tendpoints\tcontext_length\tlisted\tas_of\tsource"
            )?;
            for known in store.models().await? {
                let context = known.context_length.map_or("-".to_owned(), |length| length.to_string());
                let (features, endpoints) = (known.features.join(","), known.endpoints.join(","));
                let ModelFacts { name, provider, kind, listed, as_of, source, .. } = known;
                writeln!(
                    out,
                    "{name}\t{provider}\t{kind}\t{features}\t{endpoints}\t{context}\t{listed}\t{as_of}\t{source}"
                )?;
            }
        }
        Model::Set(said) => {
            let before = store.model(&said.model).await?;
            let before = before.unwrap_or_else(|| ModelFacts::unknown(&said.model));
            store.put_model(&over(before, *said), now).await?;
        }
        Model::Forget { model } => {
            let forgotten = store.forget_model(&model, now).await;
            forgotten.with_context(|| format!("cannot forget model {model}"))?;
        }
    }
    Ok(DONE)
}

fn over(before: ModelFacts, said: cli::Facts) -> ModelFacts {
    ModelFacts {
        provider: said.provider.unwrap_or(before.provider),
        kind: said.kind.unwrap_or(before.kind),
        description: said.description.unwrap_or(before.description),
        features: said.features.unwrap_or(before.features),
        input_modalities: said.input_modalities.unwrap_or(before.input_modalities),
        output_modalities: said.output_modalities.unwrap_or(before.output_modalities),
        endpoints: said.endpoints.unwrap_or(before.endpoints),
        context_length: said.context_length.or(before.context_length),
        doc_url: said.doc_url.unwrap_or(before.doc_url),
        listed: said.listed.unwrap_or(before.listed),
        ..before
    }
}
