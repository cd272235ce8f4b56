//! What a charge is made of.

use model::price::Kind;

use crate::console::messages::messages;

messages! {
    input: "Input", "输入";
    cached_input: "Cached input", "缓存输入";
    cache_write: "Cache write", "缓存写入";
    cache_write_1h: "Cache write for an hour", "一小时缓存写入";
    input_audio: "Input: sound", "输入：音频";
    input_image: "Input: images", "输入：图片";
    output: "Output", "输出";
    reasoning: "Reasoning", "推理";
    output_audio: "Output: sound", "输出：音频";
    output_image: "Output: images", "输出：图片";
    call: "Call", "调用";
    second: "Seconds", "秒数";
    image: "Images", "图片数";
    tool: "Calls of", "工具调用";
}

impl Messages {
    /// What a line of a charge is of.
    pub(in crate::console) fn name(&self, kind: Kind) -> String {
        match kind {
            Kind::Input => self.input.to_owned(),
            Kind::CachedInput => self.cached_input.to_owned(),
            Kind::CacheWrite => self.cache_write.to_owned(),
            Kind::CacheWrite1h => self.cache_write_1h.to_owned(),
            Kind::InputAudio => self.input_audio.to_owned(),
            Kind::InputImage => self.input_image.to_owned(),
            Kind::Output => self.output.to_owned(),
            Kind::Reasoning => self.reasoning.to_owned(),
            Kind::OutputAudio => self.output_audio.to_owned(),
            Kind::OutputImage => self.output_image.to_owned(),
            Kind::Call => self.call.to_owned(),
            Kind::Second => self.second.to_owned(),
            Kind::SecondOf(size) => format!("{}, {}", self.second, size.word()),
            Kind::Image => self.image.to_owned(),
            Kind::Tool(tool) => format!("{} {}", self.tool, tool.word()),
        }
    }
}
