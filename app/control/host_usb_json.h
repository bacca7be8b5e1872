#pragma once

#include "app/usb/host_usb_list.h"
#include "app/usb/usb_question.h"

#include <nlohmann/json_fwd.hpp>

namespace app::control {

/// What is known of a USB device of the host's: port, vendor and product ("0951:1666"), name, speed …
nlohmann::ordered_json hostUsbToJson(vmm::HostUsbInfo const& device);
/// The same, with what it is to this host, who has it, and the rule that holds for it.
nlohmann::ordered_json hostUsbEntryToJson(HostUsbEntry const& entry);
nlohmann::ordered_json usbRuleToJson(UsbRule const& rule);
nlohmann::ordered_json usbQuestionsToJson(std::vector<UsbQuestion> const& questions);
nlohmann::ordered_json usbFatesToJson(std::vector<UsbFate> const& fates);

}
