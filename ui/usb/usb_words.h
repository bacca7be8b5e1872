#pragma once

#include "app/runner/usb_peer_address.h"
#include "app/usb/host_usb_list.h"
#include "app/usb/usb_question.h"
#include "vmm/config/vm_config.h"

#include <QString>
#include <vector>

namespace ui {

/// Of resources/icons, by what the device is.
QString usbIconName(vmm::HostUsbInfo const& device);
QString usbIconName(vmm::UsbKind kind);
QString usbIconName(app::UsbMatch const& match);
QString usbName(vmm::HostUsbInfo const& device);
QString usbName(vmm::UsbKind kind);
/// "480 Mbit/s"
QString speedText(vmm::HostUsbInfo const& device);
/// Where it is plugged in, its numbers and its serial number, for who has two of a kind.
QString usbIdentityText(vmm::HostUsbInfo const& device);

/// "mounted at /media/anna/STICK", in a row of words.
QString hostUseWords(app::HostUse const& use);
/// What taking it would end, in sentences.
QString takingText(std::vector<app::HostUse> const& uses);
/// "is unplugged", "is plugged in anew" … of all that a moment's return changes; empty: nothing.
QString fatesText(std::vector<app::UsbFate> const& fates);
/// Of those that do not travel with a moment.
QString stayingText(std::vector<app::UsbFate> const& fates);

/// What is started on the other computer, where `address` is what was said of it here.
QString usbredirectLine(app::UsbMeeting how, QString const& address);

/// Which devices a rule is about, in words.
QString usbMatchWords(app::UsbMatch const& match);

}
