//! Usage records as CSV that a spreadsheet opens safely.

use std::fmt::Write;

use gateway::{UsageKind, UsageRecord};
use model::calendar::DateTime;

/// The first line.
pub(crate) const HEAD: &str = "time,type,request_id,user_id,username,token_name,model_name,group,is_stream,\
    input_tokens,cached_input_tokens,cache_write_tokens,output_tokens,reasoning_tokens,quota,cost_usd,\
    first_token_ms,total_ms,status,error,ip,endpoint,price_version,group_ratio_millionths\r\n";

/// A text as a field. What a spreadsheet would take for a formula gets an apostrophe in front, as the spreadsheet's own
/// users write it: the texts are those of whoever names a key.
fn field(text: &str) -> String {
    let begin = text.trim_start_matches([' ', '"', '\'']).chars().next();
    let formula = begin.is_some_and(|first| "=+-@|\t\r\n＝＋－＠".contains(first));
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

/// Units as US dollars: 500 000 are one, so six digits are exact.
fn dollars(units: i64) -> String {
    let millionths = i128::from(units) * 2;
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

/// One record as a line.
pub(crate) fn line(record: &UsageRecord) -> String {
    let kind = if record.kind == UsageKind::Error { "error" } else { "consume" };
    let tokens = record.tokens;
    let first_token = record.first_byte_ms.map(|millis| millis.to_string()).unwrap_or_default();
    let price = record.price.as_ref().map(|price| price.id.to_string()).unwrap_or_default();
    let mut line =
        format!("{},{kind},{},{},", DateTime(record.ended), field(&record.request_id), record.account);
    for text in [&record.username, &record.key_name, &record.model, &record.group] {
        line.push_str(&field(text));
        line.push(',');
    }
    let written = write!(
        line,
        "{},{},{},{},{},{},{},{},{first_token},{},{},{},{},{},{price},{}\r\n",
        record.stream,
        tokens.input,
        tokens.cached_input,
        tokens.cache_write,
        tokens.output,
        tokens.reasoning,
        record.units,
        dollars(record.units.get()),
        record.ended.millis_since(record.started),
        record.status,
        field(record.error.as_deref().unwrap_or_default()),
        field(&record.client),
        field(&record.door),
        record.ratio.0,
    );
    // Writing to a string cannot fail; a line cut short is worse than none.
    written.map_or_else(|_| String::new(), |()| line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_formula_is_a_text() {
        for (text, expected) in [
            ("plain", "\"plain\""),
            ("", "\"\""),
            ("a,\"b\"\nc", "\"a,\"\"b\"\"\nc\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("  =1", "\"'  =1\""),
            ("\"=1", "\"'\"\"=1\""),
            ("＝1", "\"'＝1\""),
            ("a=1", "\"a=1\""),
        ] {
            assert_eq!(field(text), expected);
        }
    }

    #[test]
    fn money_is_exact() {
        assert_eq!([0, 1, 500_000, 1_250_001].map(dollars), ["0.000000", "0.000002", "1.000000", "2.500002"]);
    }
}
