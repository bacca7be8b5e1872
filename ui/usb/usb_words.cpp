#include "ui/usb/usb_words.h"

#include <QCoreApplication>
#include <QStringList>
#include <QSysInfo>
#include <algorithm>

namespace ui {

namespace {

// Classes of devices and interfaces, as the USB Implementers Forum has numbered them ("Defined Class Codes").
enum : std::uint8_t {
    audioClass = 0x01,
    communicationClass = 0x02,
    inputClass = 0x03,
    pictureClass = 0x06,
    printerClass = 0x07,
    diskClass = 0x08,
    communicationDataClass = 0x0a,
    cardClass = 0x0b,
    videoClass = 0x0e,
    wirelessClass = 0xe0,
};

/// All sentences of this file in one context, for the translator.
struct Words {
    Q_DECLARE_TR_FUNCTIONS(ui::Usb)
public:
    static QString ofClass(std::uint8_t number)
    {
        switch (number) {
        case audioClass: return tr("everything with sound");
        case communicationClass:
        case communicationDataClass: return tr("network and serial adapters");
        case inputClass: return tr("keyboards, pointers and other input devices");
        case pictureClass: return tr("cameras and phones");
        case printerClass: return tr("printers");
        case diskClass: return tr("disks and memory sticks");
        case cardClass: return tr("smart card readers");
        case videoClass: return tr("webcams");
        case wirelessClass: return tr("wireless adapters");
        default: return tr("class %1").arg(number, 2, 16, QLatin1Char('0'));
        }
    }
};

QString text(std::string const& utf8)
{
    return QString::fromStdString(utf8);
}

QString numbers(std::uint16_t vendor, std::uint16_t product)
{
    return QStringLiteral("%1:%2").arg(vendor, 4, 16, QLatin1Char('0')).arg(product, 4, 16, QLatin1Char('0'));
}

QString fateName(app::UsbFate const& fate)
{
    auto const model = numbers(fate.vendor, fate.product);
    return fate.from.empty() ? QStringLiteral("“%1”").arg(fate.name.empty() ? model : text(fate.name))
                             : Words::tr("“%1” from %2").arg(model, text(fate.from));
}

/// Of several classes the one that says most about what it is for a person.
QString iconOfClasses(std::vector<std::uint8_t> const& classes)
{
    struct Known {
        std::uint8_t number;
        char const* icon;
    };
    static constexpr Known known[] = { { diskClass, "stick" }, { videoClass, "webcam" }, { printerClass, "printer" },
        { pictureClass, "phone" }, { cardClass, "key" }, { audioClass, "headset" }, { wirelessClass, "wireless" },
        { communicationClass, "serial" }, { inputClass, "keyboard" } };
    for (auto const& one : known) {
        if (std::ranges::find(classes, one.number) != classes.end())
            return QLatin1String(one.icon);
    }
    return QStringLiteral("usb");
}

}

QString usbIconName(vmm::HostUsbInfo const& device)
{
    auto const uses = [&](char const* prefix) {
        return std::ranges::any_of(device.nodes, [&](std::string const& node) { return node.starts_with(prefix); });
    };
    // What the drivers have made of it tells more than the class does.
    if (uses("/dev/input/js"))
        return QStringLiteral("gamepad");
    if (uses("/dev/input/mouse"))
        return QStringLiteral("mouse");
    if (uses("/dev/ttyUSB") || uses("/dev/ttyACM"))
        return QStringLiteral("serial");
    auto classes = device.interfaceClasses;
    classes.push_back(device.deviceClass);
    auto const icon = iconOfClasses(classes);
    // A key for signing in speaks through the input class, and no driver of keyboards has it.
    bool const isKeyOnly = icon == QLatin1String("keyboard") && uses("/dev/hidraw") && !uses("/dev/input/");
    return isKeyOnly ? QStringLiteral("key") : icon;
}

QString usbIconName(vmm::UsbKind kind)
{
    switch (kind) {
    case vmm::UsbKind::Keyboard: return QStringLiteral("keyboard");
    case vmm::UsbKind::Mouse: return QStringLiteral("mouse");
    case vmm::UsbKind::Tablet: return QStringLiteral("pointer");
    case vmm::UsbKind::Hub: return QStringLiteral("hub");
    case vmm::UsbKind::Serial: return QStringLiteral("serial");
    case vmm::UsbKind::Audio: return QStringLiteral("headset");
    case vmm::UsbKind::Gamepad: return QStringLiteral("gamepad");
    }
    return QStringLiteral("usb");
}

QString usbIconName(app::UsbMatch const& match)
{
    return match.deviceClass ? iconOfClasses({ *match.deviceClass }) : QStringLiteral("usb");
}

QString usbName(vmm::HostUsbInfo const& device)
{
    return text(app::usbDeviceName(device));
}

QString usbName(vmm::UsbKind kind)
{
    switch (kind) {
    case vmm::UsbKind::Keyboard: return Words::tr("USB keyboard");
    case vmm::UsbKind::Mouse: return Words::tr("USB mouse");
    case vmm::UsbKind::Tablet: return Words::tr("USB tablet");
    case vmm::UsbKind::Hub: return Words::tr("USB hub");
    case vmm::UsbKind::Serial: return Words::tr("USB serial port");
    case vmm::UsbKind::Audio: return Words::tr("Loudspeakers and microphone");
    case vmm::UsbKind::Gamepad: return Words::tr("Gamepad");
    }
    return {};
}

QString speedText(vmm::HostUsbInfo const& device)
{
    // USB 2.0 and 3.2, what a bus of that speed carries at most.
    static constexpr char const* texts[]
        = { QT_TRANSLATE_NOOP("ui::Usb", "1.5 Mbit/s"), QT_TRANSLATE_NOOP("ui::Usb", "12 Mbit/s"),
              QT_TRANSLATE_NOOP("ui::Usb", "480 Mbit/s"), QT_TRANSLATE_NOOP("ui::Usb", "5 Gbit/s") };
    return Words::tr(texts[static_cast<std::size_t>(device.speed)]);
}

QString usbIdentityText(vmm::HostUsbInfo const& device)
{
    auto parts = QStringList { Words::tr("Port %1").arg(text(device.port)), numbers(device.vendor, device.product) };
    if (!device.serial.empty())
        parts += Words::tr("serial number %1").arg(text(device.serial));
    return parts.join(QStringLiteral(" · "));
}

QString hostUseWords(app::HostUse const& use)
{
    using Kind = app::HostUse::Kind;
    auto const what = text(use.what);
    switch (use.kind) {
    case Kind::Keyboard:
        return use.isOnly ? Words::tr("the only keyboard of this computer") : Words::tr("a keyboard of this computer");
    case Kind::Pointer:
        return use.isOnly ? Words::tr("the only pointer of this computer") : Words::tr("a pointer of this computer");
    case Kind::MountedDisk: return Words::tr("mounted at %1").arg(what);
    case Kind::NetworkUp: return Words::tr("network %1 of this computer").arg(what);
    case Kind::DiskInUse:
    case Kind::PortInUse: return Words::tr("in use (%1)").arg(what);
    }
    return {};
}

QString takingText(std::vector<app::HostUse> const& uses)
{
    QStringList sentences;
    for (auto const& use : uses) {
        using Kind = app::HostUse::Kind;
        auto const what = text(use.what);
        switch (use.kind) {
        case Kind::Keyboard:
            sentences += use.isOnly
                ? Words::tr("It is the only keyboard of this computer: it would type in the machine alone.")
                : Words::tr("It is a keyboard of this computer, and would type in the machine alone.");
            break;
        case Kind::Pointer:
            sentences += use.isOnly
                ? Words::tr("It is the only pointer of this computer: it would move in the machine alone.")
                : Words::tr("It is a pointer of this computer, and would move in the machine alone.");
            break;
        case Kind::MountedDisk:
            sentences
                += Words::tr("It is mounted at %1: what is not written yet would be lost. Eject it first.").arg(what);
            break;
        case Kind::DiskInUse:
            sentences += Words::tr("A disk of it is in use (%1), and would be gone at once.").arg(what);
            break;
        case Kind::NetworkUp:
            sentences += use.isOnly
                ? Words::tr("It is the only network connection of this computer (%1).").arg(what)
                : Words::tr("It is a network connection of this computer (%1), which would end.").arg(what);
            break;
        case Kind::PortInUse:
            sentences += Words::tr("A program has its port open (%1), and would lose it.").arg(what);
            break;
        }
    }
    sentences.removeDuplicates(); // a keyboard has several input devices
    return sentences.isEmpty() ? Words::tr("A rule says that it stays on this computer.")
                               : sentences.join(QLatin1Char(' '));
}

QString fatesText(std::vector<app::UsbFate> const& fates)
{
    using Outcome = app::UsbFate::Outcome;
    auto const named = [&](auto... outcomes) {
        QStringList names;
        for (auto const& fate : fates) {
            if (((fate.outcome == outcomes) || ...))
                names += fateName(fate);
        }
        return names.join(QStringLiteral(", "));
    };
    QStringList sentences;
    if (auto const names = named(Outcome::PluggedAnew); !names.isEmpty())
        sentences += Words::tr("Unplugged and plugged in anew: %1.").arg(names);
    if (auto const names = named(Outcome::Unplugged); !names.isEmpty())
        sentences += Words::tr("Unplugged: %1.").arg(names);
    if (auto const names = named(Outcome::Asked); !names.isEmpty())
        sentences += Words::tr("Unplugged, and you are asked about it then: %1.").arg(names);
    if (auto const names = named(Outcome::NotHere); !names.isEmpty())
        sentences += Words::tr("Unplugged, and not here after that: %1.").arg(names);
    return sentences.join(QLatin1Char(' '));
}

QString stayingText(std::vector<app::UsbFate> const& fates)
{
    QStringList names;
    for (auto const& fate : fates)
        names += fateName(fate);
    return Words::tr("USB devices do not travel with it: %1.").arg(names.join(QStringLiteral(", ")));
}

/// As usbredirect 0.13 reads it: an address has no brackets, and that of --as is a number.
QString usbredirectLine(app::UsbMeeting how, QString const& address)
{
    auto const said = app::parseUsbPeerAddress(address.toStdString()).value_or(app::UsbPeerAddress {});
    auto const host = text(said.host);
    bool const calls = how == app::UsbMeeting::Call;
    bool const isTunnel = !said.path.empty() || host == QLatin1String("localhost") || host == QLatin1String("::1")
        || host.startsWith(QLatin1String("127."));
    bool const isName = !host.isEmpty() && host != QLatin1String("0.0.0.0") && !host.contains(QLatin1Char(':'));
    auto const where = isTunnel ? QStringLiteral("127.0.0.1")
        : calls                 ? QStringLiteral("0.0.0.0")
        : isName                ? host
                                : QSysInfo::machineHostName();
    auto const port = said.port != 0 ? QString::number(said.port) : QStringLiteral("PORT");
    return QStringLiteral("sudo usbredirect --device VENDOR:PRODUCT %1 %2:%3")
        .arg(calls ? QStringLiteral("--as") : QStringLiteral("--to"), where, port);
}

QString usbMatchWords(app::UsbMatch const& match)
{
    if (match.isEmpty())
        return Words::tr("every device");
    QStringList parts;
    if (match.vendor && match.product)
        parts += numbers(*match.vendor, *match.product);
    else if (match.vendor)
        parts += Words::tr("everything of maker %1").arg(*match.vendor, 4, 16, QLatin1Char('0'));
    if (match.deviceClass)
        parts += Words::ofClass(*match.deviceClass);
    if (!match.serial.empty())
        parts += Words::tr("serial number %1").arg(text(match.serial));
    if (!match.port.empty())
        parts += Words::tr("plugged in at %1").arg(text(match.port));
    if (match.serial.empty() && match.port.empty() && match.vendor && match.product)
        parts += Words::tr("every one of this model");
    return parts.join(QStringLiteral(", "));
}

}
