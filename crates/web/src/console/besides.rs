//! What a price charges besides tokens of text: parts with a rate of their own, long inputs, calls, seconds, images, tools.

use model::price::{Price, TermRatio, ToolRate, UnitsPerMillion};

use super::{
    messages::{Messages, fill},
    show,
    usage::ratio,
};

/// What it charges besides: a line for each, with what it is of and what it costs.
pub(super) fn of(t: &Messages, price: &Price) -> Vec<(String, String)> {
    let rates = &price.rates;
    let apart = |rate: UnitsPerMillion, whole: UnitsPerMillion| rate.0 > 0 && rate != whole;
    let in_and_out = |input: UnitsPerMillion, output: UnitsPerMillion| {
        format!("{} / {}", show::dollars(input.0), show::dollars(output.0))
    };
    let mut more = Vec::new();
    if price.per_call.get() > 0 {
        more.push((t.priced.call.to_owned(), show::dollars(price.per_call.get())));
    }
    if apart(rates.input_audio, rates.input) || apart(rates.output_audio, rates.output) {
        more.push((t.priced.audio.to_owned(), in_and_out(rates.input_audio, rates.output_audio)));
    }
    if apart(rates.input_image, rates.input) || apart(rates.output_image, rates.output) {
        more.push((t.priced.image.to_owned(), in_and_out(rates.input_image, rates.output_image)));
    }
    if apart(rates.reasoning, rates.output) {
        more.push((t.priced.reasoning.to_owned(), show::dollars(rates.reasoning.0)));
    }
    // What is kept is the price of a million seconds or images.
    for (label, rate) in [(t.priced.second, price.per_second), (t.priced.each_image, price.per_image)] {
        if rate.0 > 0 {
            more.push((label.to_owned(), show::fine_dollars(rate.0.into())));
        }
    }
    for size in &price.sizes {
        let label = format!("{}, {}", t.priced.second, size.size.word());
        more.push((label, show::fine_dollars(size.rate.0.into())));
    }
    let tool = |rate: &ToolRate| format!("{} {}", rate.tool.word(), show::fine_dollars(rate.rate.0.into()));
    let term = |rate: &TermRatio| format!("{} × {}", rate.term.word(), ratio(rate.ratio));
    for (label, each) in [
        (t.priced.tools_short, price.tools.iter().map(tool).collect::<Vec<_>>()),
        (t.priced.service_tiers_short, price.terms.iter().map(term).collect()),
    ] {
        if !each.is_empty() {
            more.push((label.to_owned(), each.join(", ")));
        }
    }
    for tier in &price.tiers {
        let label = fill(t.priced.from, &show::grouped(tier.above.into()));
        more.push((label, in_and_out(tier.rates.input, tier.rates.output)));
    }
    more
}
