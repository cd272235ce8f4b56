//! How much one request may cost at most: what is held before anything is sent.

use std::sync::Arc;

use bytes::Bytes;
use ledger::{Hold, HoldError};
use model::{
    id::PoolId,
    money::Units,
    price::{CostOverflow, Most, Ratio},
    refusal::Refusal,
    usage::{Tokens, UsageContext},
};
use store::ModelPrice;
use wire::{request::Scan, tokenizer::Tokenizer};

use crate::{door::Door, gateway::Gateway, key_cache::Known, measure::Measured};

/// How often a hold is tried again after others took what was affordable a moment ago.
const TRIES: usize = 3;

/// What a request is priced by.
#[derive(Clone)]
pub(crate) struct Tariff {
    pub(crate) price: Arc<ModelPrice>,
    pub(crate) ratio: Ratio,
    pub(crate) measured: Measured,
}

impl Tariff {
    /// The most that the input and `output` tokens can cost.
    pub(crate) fn bound(&self, output: u64) -> Result<Units, CostOverflow> {
        self.price.price.bound_of(self.ratio, &self.most(output))
    }

    /// The same in another group.
    pub(crate) fn at(&self, ratio: Ratio) -> Self {
        Self { ratio, ..self.clone() }
    }

    fn most(&self, output: u64) -> Most {
        let Measured { input, seconds, images, tools, terms, .. } = self.measured;
        Most { input, output, seconds, images, tools, terms }
    }

    /// How many output tokens `budget` affords beside the rest, at most `limit`; `None` when it does not even afford that.
    pub(crate) fn affordable_output(&self, budget: Units, limit: u64) -> Option<u64> {
        self.price.price.affordable_output(self.ratio, &self.most(0), budget, limit)
    }

    /// What these tokens cost.
    pub(crate) fn cost(&self, tokens: &Tokens) -> Result<Units, CostOverflow> {
        self.price.price.cost(self.ratio, tokens)
    }
}

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) scan: &'a Scan,
    pub(crate) body: &'a Bytes,
    /// Where it was asked.
    pub(crate) door: Door,
}

/// A hold, and what it is good for.
pub(crate) struct Held {
    pub(crate) hold: Hold,
    /// With the bound of the input that was held.
    pub(crate) tariff: Tariff,
    /// Output tokens that are held.
    pub(crate) output: u64,
    /// The limit that the upstream must keep, for each choice, when it is not the caller's own.
    pub(crate) limit: Option<u64>,
}

/// What the request may produce.
struct Wanted {
    /// Output tokens of all choices together.
    most: u64,
    /// Output tokens of the first step.
    step: u64,
    choices: u64,
    /// Whether less can be asked for.
    limited: bool,
}

impl Wanted {
    fn new(gateway: &Gateway, asked: Asked<'_>, price: &ModelPrice) -> Self {
        let Asked { scan, door, .. } = asked;
        if !door.has_output() {
            return Self { most: 0, step: 0, choices: 1, limited: false };
        }
        let limited = door.limits_output();
        let each = scan.output_limit.unwrap_or(u64::MAX).min(price.max_output);
        let most = each.saturating_mul(scan.choices);
        // Reasoning is charged but not seen while it is streamed, so it cannot be followed in steps.
        let steps = scan.stream && limited && !price.reasoning;
        let step = if steps { most.min(gateway.settings.stream_step) } else { most };
        Self { most, step, choices: scan.choices, limited }
    }
}

/// Holds what a request may cost. The input is bounded by its bytes, and counted by the model's tokenizer only when the
/// balance does not cover that. When the balance affords only part of the output, that part is held and becomes the limit
/// that the upstream must keep.
pub(crate) async fn hold(
    gateway: &Gateway,
    known: &Known,
    tariff: Tariff,
    asked: Asked<'_>,
    context: UsageContext,
) -> Result<Held, Refusal> {
    let wanted = Wanted::new(gateway, asked, &tariff.price);
    let request = Request { gateway, known, wanted, context: Arc::new(context) };
    let pools = [known.key.pool, known.account.pool];
    let full = tariff.bound(request.wanted.most).map_err(|CostOverflow| too_large())?;
    let affordable = affordable(gateway, known, pools, full).await?;
    if affordable < full
        && let Some(tariff) = Box::pin(counted(gateway, &tariff, asked)).await
    {
        let full = tariff.bound(request.wanted.most).map_err(|CostOverflow| too_large())?;
        // Counting takes its time, and others have settled meanwhile.
        let affordable = Box::pin(self::affordable(gateway, known, pools, full)).await?;
        return request.hold(tariff, full, affordable).await;
    }
    request.hold(tariff, full, affordable).await
}

/// The same tariff with the input counted by the model's own tokenizer; `None` where there is none or it does not help.
async fn counted(gateway: &Gateway, tariff: &Tariff, asked: Asked<'_>) -> Option<Tariff> {
    let tokenizer = Tokenizer::of(&asked.scan.model)?;
    // Counting keeps a processor busy, and callers without a balance may ask for it as often as they like.
    let _place = gateway.counting.acquire().await.ok()?;
    let body = asked.body.clone();
    let tokens = tokio::task::spawn_blocking(move || tokenizer.bound(&body)).await.ok()??;
    let images = tariff.measured.input.saturating_sub(asked.body.len() as u64);
    let input = tokens.saturating_add(images);
    let measured = Measured { input, estimated_input: input, ..tariff.measured };
    (input < tariff.measured.input).then(|| Tariff { measured, ..tariff.clone() })
}

struct Request<'a> {
    gateway: &'a Gateway,
    known: &'a Known,
    wanted: Wanted,
    context: Arc<UsageContext>,
}

impl Request<'_> {
    /// Holds the first step of what costs `full` in the end, while `affordable` is left.
    async fn hold(self, tariff: Tariff, full: Units, mut affordable: Units) -> Result<Held, Refusal> {
        let Self { gateway, known, wanted, context } = self;
        let pools = [known.key.pool, known.account.pool];
        let step = match wanted.step == wanted.most {
            true => full,
            false => tariff.bound(wanted.step).map_err(|CostOverflow| too_large())?,
        };
        let mut refused = None;
        for tried in 0..TRIES {
            if tried > 0 {
                affordable = Box::pin(self::affordable(gateway, known, pools, full)).await?;
            }
            let (units, output, limit) = if affordable >= full || wanted.most == 0 {
                (step, wanted.step, None)
            } else {
                let least = match wanted.limited {
                    true => gateway.settings.minimum_output.saturating_mul(wanted.choices).min(wanted.most),
                    false => wanted.most,
                };
                let output = tariff.affordable_output(affordable, wanted.most);
                let Some(output) = output.filter(|output| *output >= least && *output > 0) else {
                    let need = tariff.bound(least).map_err(|CostOverflow| too_large())?;
                    let why = not_affordable(known, known.key.pool, need, affordable, pools, gateway);
                    return Err(Box::pin(why).await);
                };
                let each = output / wanted.choices;
                let held = wanted.step.min(each.saturating_mul(wanted.choices));
                let units = tariff.bound(held).map_err(|CostOverflow| too_large())?;
                (units, held, Some(each))
            };
            match gateway.ledger.hold(pools, units, Arc::clone(&context)).await {
                Ok(hold) => return Ok(Held { hold, tariff, output, limit }),
                Err(error @ HoldError::NotAffordable { .. }) => refused = Some(error),
                Err(error) => return Err(refusal(known, error)),
            }
        }
        Err(refused.map_or(Refusal::Internal, |error| refusal(known, error)))
    }
}

fn too_large() -> Refusal {
    Refusal::InvalidRequest("the output limit is beyond what can be counted".to_owned())
}

async fn affordable(
    gateway: &Gateway,
    known: &Known,
    pools: [PoolId; 2],
    need: Units,
) -> Result<Units, Refusal> {
    gateway.ledger.affordable(pools, need).await.map_err(|error| refusal(known, error))
}

/// Checks that there is anything left to pay with: the least that can be asked before it is known what is wanted.
///
/// # Errors
/// The key or its account has nothing left, or cannot be asked for.
pub(crate) async fn something(gateway: &Gateway, known: &Known) -> Result<(), Refusal> {
    let (pools, least) = ([known.key.pool, known.account.pool], Units::new(1));
    let have = affordable(gateway, known, pools, least).await?;
    match have < least {
        true => Err(not_affordable(known, known.key.pool, least, have, pools, gateway).await),
        false => Ok(()),
    }
}

/// Says which of the two pools it was.
async fn not_affordable(
    known: &Known,
    key: PoolId,
    need: Units,
    have: Units,
    pools: [PoolId; 2],
    gateway: &Gateway,
) -> Refusal {
    let of_key = affordable(gateway, known, [key, key], Units::ZERO).await.unwrap_or(have);
    let [key_pool, account_pool] = pools;
    let pool = if of_key <= have { key_pool } else { account_pool };
    refusal(known, HoldError::NotAffordable { pool, need, have })
}

/// The outside of a hold that was not given.
pub(crate) fn refusal(known: &Known, error: HoldError) -> Refusal {
    match error {
        HoldError::NotAffordable { pool, need, have } if pool == known.key.pool => {
            Refusal::QuotaExhausted { need: need.get(), have: have.get() }
        }
        HoldError::NotAffordable { need, have, .. } => {
            Refusal::InsufficientBalance { need: need.get(), have: have.get() }
        }
        HoldError::NotAdmitting => Refusal::Unavailable,
        error @ (HoldError::Book(_) | HoldError::UnknownPool(_)) => {
            tracing::error!(%error, "cannot take a hold");
            Refusal::Unavailable
        }
    }
}
