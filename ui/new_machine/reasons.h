#pragma once

#include "app/media/proposal.h"

#include <QString>

namespace ui {

/// Why a value was proposed, as a short sentence.
QString reasonText(app::Reason reason);
/// What stands against a machine on this host, as a sentence.
QString concernText(app::HostConcern const& concern, app::KvmStatus kvm);
/// "Virtualization is available." or what is wrong with it.
QString kvmText(app::KvmStatus kvm);

}
