//! The second factor, set up and given up.

use crate::console::messages::messages;

messages! {
    on: "On", "已开启";
    off: "Off", "未开启";
    intro: "With a second factor a password alone does not open the console: a code of your authenticator app is asked for too.", "开启双重验证后，仅凭密码无法打开控制台，还需要验证器应用中的验证码。";
    begin: "Set up an app", "设置验证器应用";
    begin_hint: "You need an authenticator app on your phone or in your password manager.", "你需要手机上或密码管理器中的验证器应用。";
    scan: "Scan this with your app", "用应用扫描此图";
    by_hand: "Or type this secret into the app:", "或在应用中输入此密钥：";
    first: "The code that the app shows", "应用显示的验证码";
    confirm: "Turn it on", "开启";
    codes: "Recovery codes", "恢复码";
    codes_made: "Keep these codes where you find them without your phone. They are not shown again; each is good once.", "请将恢复码保存在不依赖手机的地方。它们不会再次显示，每个只能使用一次。";
    codes_left: "Codes that were not used:", "尚未使用的恢复码：";
    renew: "Make new codes", "生成新的恢复码";
    renew_hint: "The old ones open nothing any more.", "旧的恢复码随即失效。";
    end: "Turn it off", "关闭";
    end_hint: "From then on the password alone opens the console.", "此后仅凭密码即可打开控制台。";
    ended: "The second factor is off.", "双重验证已关闭。";
    remove: "Remove the second factor", "移除双重验证";
    remove_hint: "For somebody who has lost the app and the recovery codes. Be sure who asks for it.", "用于丢失应用和恢复码的用户。请先确认对方身份。";
}
