//! What lists and their lines say.

use crate::console::messages::messages;

messages! {
    search_accounts: "Name or e-mail address", "名称或邮箱";
    only_served: "Only those that are served", "仅显示可用的模型";
    sort_by: "Sort by", "排序";
    why_stuck: "too little for all but the smallest requests", "余额仅够最小的请求";
    appearance: "Appearance", "外观";
    fields: "fields", "个字段";
    more_filters: "More filters", "更多筛选条件";
    failed: "Failed:", "失败：";
    of_them_failed: "failed", "失败";
    reported: "what the provider reported", "提供商报告";
    counted: "our own count", "网关自行计数";
    estimated: "an estimate", "估算";
}

impl Messages {
    /// Who says how many tokens there were, of the word in the record.
    pub(in crate::console) fn provenance(&self, word: &str) -> &'static str {
        match word {
            "reported" => self.reported,
            "counted" => self.counted,
            _ => self.estimated,
        }
    }
}
