#include "ui/new_machine/reasons.h"

#include "ui/widgets/words.h"

#include <QCoreApplication>

namespace ui {

namespace {
struct Reasons {
    Q_DECLARE_TR_FUNCTIONS(ui::Reasons)
};
}

QString reasonText(app::Reason reason)
{
    switch (reason) {
    case app::Reason::SystemRecommends: return Reasons::tr("what this system's makers recommend");
    case app::Reason::SystemRequires: return Reasons::tr("more than this system's minimum");
    case app::Reason::HostLimit: return Reasons::tr("as much as this computer can spare");
    case app::Reason::UsualDefault: return Reasons::tr("a good start for most systems");
    case app::Reason::MediumNeeds: return Reasons::tr("the medium starts only this way");
    case app::Reason::FirmwareMissing: return Reasons::tr("the other firmware is not installed");
    }
    return {};
}

QString kvmText(app::KvmStatus kvm)
{
    switch (kvm) {
    case app::KvmStatus::Usable: return Reasons::tr("Virtualization is available.");
    case app::KvmStatus::Absent:
        return Reasons::tr("This computer offers no virtualization: turn it on in the firmware (“VT-x”, “SVM”) and "
                           "load the module kvm.");
    case app::KvmStatus::NoRights:
        return Reasons::tr("You may not use virtualization: add yourself to the group “kvm” and log in again.");
    case app::KvmStatus::Unusable: return Reasons::tr("This computer's virtualization cannot be used.");
    }
    return {};
}

QString concernText(app::HostConcern const& concern, app::KvmStatus kvm)
{
    using Code = app::HostConcern::Code;
    switch (concern.code) {
    case Code::NoKvm: return kvmText(kvm);
    case Code::MoreCpusThanCores:
        return Reasons::tr("%1 processors are more than the %2 cores of this computer: it will be slow.")
            .arg(concern.wanted)
            .arg(concern.there);
    case Code::MoreMemoryThanFree:
        return Reasons::tr("%1 of memory is more than the %2 that are free now.")
            .arg(bytesText(concern.wanted), bytesText(concern.there));
    case Code::MoreMemoryThanHost:
        return Reasons::tr("%1 of memory is more than this computer has (%2).")
            .arg(bytesText(concern.wanted), bytesText(concern.there));
    case Code::DiskMayFill:
        return Reasons::tr("The disk can grow to %1, and %2 are free.")
            .arg(bytesText(concern.wanted), bytesText(concern.there));
    case Code::NoFirmware: return Reasons::tr("The firmware is not installed on this computer.");
    }
    return {};
}

}
