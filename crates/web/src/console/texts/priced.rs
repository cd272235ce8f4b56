//! The page of prices.

use crate::console::messages::messages;

messages! {
    cache_write: "Cache write, USD per million", "缓存写入，美元 / 百万";
    intro: "A price is in force from the moment it is set. Requests keep the price that they began with.", "价格自设置起生效。请求保持其开始时的价格。";
    none: "No prices yet: a model without one is refused.", "还没有价格：没有价格的模型会被拒绝。";
    put: "Set the price of a model", "设置模型价格";
    more: "Besides", "其他";
    tools: "Provider's own tools, USD per call", "服务商自带工具，美元 / 次";
    service_tiers: "Service tiers, times the prices of tokens", "服务等级，token 价格的倍数";
    extras_hint: "A request for a tool or a service tier that is not named here is refused, and so is one for another size of video where one is named. 0 is free; a service tier of 1 costs what is listed.", "未列出的工具或服务等级会被拒绝；填写了视频尺寸时，未列出的尺寸同样会被拒绝。填 0 表示免费，服务等级填 1 表示按标价。";
    per_second: "USD per second of video or sound", "美元 / 秒（视频或音频）";
    per_image: "USD per image", "美元 / 张图片";
    sizes: "Video by size, USD per second", "按尺寸计价的视频，美元 / 秒";
    tools_short: "Tools", "工具";
    service_tiers_short: "Service tiers", "服务等级";
    from: "from % input tokens on", "输入超过 % token 时";
    audio: "Sound", "音频";
    image: "Image", "图片";
    second: "Second", "每秒";
    each_image: "per image", "每张图片";
    reasoning: "Reasoning", "推理";
    in_force: "Prices in force", "当前生效的价格";
    call: "Call", "每次调用";
    later: "Prices that begin later", "稍后生效的价格";
    columns: "US dollars; tokens by the million. Where two amounts stand together, the first is of input and the second of output.", "单位为美元；token 以百万计。两个金额并列时，前者为输入，后者为输出。";
    cached_short: "Cached", "缓存";
    since: "In force since", "生效时间";
}
