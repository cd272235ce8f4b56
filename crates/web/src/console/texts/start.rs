//! The first run.

use crate::console::messages::messages;

messages! {
    welcome: "Welcome to Apsis", "欢迎使用 Apsis";
    intro: "Three steps to the first answer: a password for the account root, a channel to a provider, and an API key.", "三步得到第一个回答：为 root 账户设置密码、添加通往提供商的渠道、创建 API 密钥。";
    step_password: "Password", "密码";
    step_channel: "Channel", "渠道";
    step_key: "API key", "API 密钥";
    token: "Set-up token", "初始化令牌";
    token_hint: "It stands in the link that the server printed when it started, behind the #, and works for an hour.", "它位于服务器启动时打印的链接中 # 之后，一小时内有效。";
    token_wrong: "This is not the set-up token, or it has ended. Start the server again for a new one.", "初始化令牌不正确或已失效。重新启动服务器即可得到新的令牌。";
    go_on: "Set the password and go on", "设置密码并继续";
    done: "This gateway is set up already, or its set-up token has ended. A start of the server offers a new one as long as none was used.", "本网关已完成初始化，或初始化令牌已失效。只要令牌尚未被使用，重新启动服务器就会提供新的令牌。";
    channel_title: "The first channel", "第一个渠道";
    channel_intro: "A channel is a way to a provider. It is tested with one small request before it is kept.", "渠道是通往提供商的路径。保存之前会用一个小请求测试它。";
    channel_go: "Test it and go on", "测试并继续";
    skip: "Skip this step", "跳过此步";
    key_title: "The first API key", "第一个 API 密钥";
    key_intro: "Programs call models with a key. It can spend its quota and not a unit more.", "程序使用密钥调用模型。密钥只能花费其额度，一分不多。";
    key_go: "Create the key", "创建密钥";
    ready: "All set", "一切就绪";
    ready_intro: "Copy the key now; later it can be shown again on its own page.", "现在就复制密钥；以后也可以在它自己的页面上再次显示。";
    request: "A request to try it", "试一试的请求";
}
