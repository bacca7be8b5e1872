#include "ui/widgets/problem.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <cerrno>

namespace ui {

namespace {

/// All sentences of this file in one context, for the translator.
struct Sentences {
    Q_DECLARE_TR_FUNCTIONS(ui::Problem)
public:
    static QString title(Task task)
    {
        switch (task) {
        case Task::Start: return tr("The machine could not be started.");
        case Task::Pause: return tr("The machine could not be paused.");
        case Task::Resume: return tr("The machine could not go on.");
        case Task::Reset: return tr("The machine could not be reset.");
        case Task::PressPowerButton: return tr("The machine could not be asked to shut down.");
        case Task::PowerOff: return tr("The machine could not be powered off.");
        case Task::Suspend:
        case Task::SuspendElsewhere: return tr("The machine could not be suspended.");
        case Task::Restore: return tr("The suspended machine could not be restored.");
        case Task::DiscardState: return tr("The suspended state could not be thrown away.");
        case Task::Cancel: return tr("The work could not be cancelled.");
        case Task::InsertMedium: return tr("The CD could not be inserted.");
        case Task::EjectMedium: return tr("The CD could not be ejected.");
        case Task::Create: return tr("The machine could not be created.");
        case Task::Clone: return tr("The machine could not be copied.");
        case Task::Rename: return tr("The machine could not be renamed.");
        case Task::Remove: return tr("The machine could not be removed.");
        case Task::BringBack: return tr("The machine could not be brought back.");
        case Task::BringImagesBack: return tr("The disk images could not be brought back.");
        case Task::EmptyTrash: return tr("The trash could not be emptied.");
        case Task::ChangeSettings: return tr("The settings could not be saved.");
        case Task::OpenMachine: return tr("This machine cannot be read.");
        case Task::ReadFile: return tr("This file cannot be used.");
        case Task::SaveScreenshot: return tr("The screenshot could not be saved.");
        case Task::ReadTimeline: return tr("The machine's moments cannot be read.");
        case Task::ReadMoments: return tr("A moment cannot be read.");
        case Task::KeepMoment: return tr("The moment could not be kept.");
        case Task::GoToMoment: return tr("The machine could not go back to this moment.");
        case Task::ChangeMoment: return tr("The moment could not be changed.");
        case Task::RemoveMoment: return tr("The moment could not be deleted or brought back.");
        case Task::CompareMoments: return tr("The moments could not be compared.");
        case Task::ForkMoment: return tr("No machine could be made of this moment.");
        case Task::ExportMoment: return tr("The moment could not be exported.");
        case Task::ImportMoment: return tr("No machine could be made of this file.");
        case Task::AttachUsb: return tr("The USB device could not be attached.");
        case Task::DetachUsb: return tr("The USB device could not be detached.");
        case Task::PlugUsb: return tr("The device could not be plugged in or out.");
        case Task::AddUsb: return tr("The device could not be added.");
        case Task::RemoveUsb: return tr("The device could not be removed.");
        case Task::ChangeUsbRules: return tr("The rule for USB devices could not be saved.");
        case Task::CallForUsb: return tr("No USB device came from the other computer.");
        case Task::WaitForUsb: return tr("The machine cannot wait for USB devices there.");
        case Task::HaveUsb: return tr("A USB device of another computer is gone.");
        case Task::ForwardPorts: return tr("Some port forwards of the machine are missing.");
        case Task::Run: return tr("The machine has stopped.");
        }
        return {};
    }

    static bool isOfMoments(Task task)
    {
        return task == Task::ReadTimeline || task == Task::KeepMoment || task == Task::GoToMoment
            || task == Task::ChangeMoment || task == Task::RemoveMoment || task == Task::CompareMoments
            || task == Task::ForkMoment;
    }

    static bool needsConnector(Task task)
    {
        return task == Task::AttachUsb || task == Task::PlugUsb || task == Task::AddUsb || task == Task::CallForUsb;
    }

    static bool needsPresent(Task task) { return task == Task::KeepMoment || task == Task::GoToMoment; }

    static bool isSilent(Task task, vmm::ErrorCode code)
    {
        return task == Task::SuspendElsewhere
            && (code == vmm::ErrorCode::NotFound || code == vmm::ErrorCode::TimedOut
                || code == vmm::ErrorCode::Disconnected);
    }

    static bool isOfOtherComputers(Task task)
    {
        return task == Task::CallForUsb || task == Task::WaitForUsb || task == Task::HaveUsb;
    }

    /// Empty: as for any other task.
    static QString reasonOfOtherComputers(Task task, vmm::ErrorCode code)
    {
        if (!isOfOtherComputers(task))
            return {};
        if (task == Task::HaveUsb) // the rest as for any other task
            return code == vmm::ErrorCode::IoError ? tr("The other computer cannot be reached.") : QString();
        auto const calls = task == Task::CallForUsb;
        switch (code) {
        case vmm::ErrorCode::InvalidArgument: return tr("That is no address.");
        case vmm::ErrorCode::NotFound:
            return calls ? tr("There is no such computer or socket.") : tr("This computer has no such address.");
        case vmm::ErrorCode::IoError:
            return calls ? tr("The other computer cannot be reached.") : tr("This computer has no such address.");
        case vmm::ErrorCode::Corrupt: return tr("What answers there is not usbredirect.");
        case vmm::ErrorCode::Disconnected: return tr("No device is passed on there.");
        default: return {};
        }
    }

    static QString adviceOfOtherComputers(Task task, vmm::ErrorCode code)
    {
        if (!isOfOtherComputers(task))
            return {};
        if (task == Task::HaveUsb)
            return tr("Bring it again when the other computer and the network are ready.");
        auto const calls = task == Task::CallForUsb;
        switch (code) {
        case vmm::ErrorCode::InvalidArgument:
            return tr("It is a name and a port, such as desk:4000, a port of this computer alone, or the path of a "
                      "socket.");
        case vmm::ErrorCode::NotFound:
        case vmm::ErrorCode::IoError:
        case vmm::ErrorCode::Corrupt:
            return calls ? tr("Check the address, and the network of both.")
                         : tr("At 0.0.0.0 the machine waits at all that it has.");
        case vmm::ErrorCode::PermissionDenied:
            return calls ? QString() : tr("Choose a port above 1023: those below are the system's.");
        case vmm::ErrorCode::Busy: return tr("Choose another port.");
        case vmm::ErrorCode::TimedOut:
            return tr("Check whether usbredirect runs there, and whether the firewall lets the port through.");
        case vmm::ErrorCode::Disconnected: return tr("Start usbredirect on the other computer first.");
        default: return {};
        }
    }

    static QString reason(Task task, vmm::ErrorCode code)
    {
        if (isSilent(task, code))
            return tr("The other program does not answer.");
        if (auto const special = reasonOfOtherComputers(task, code); !special.isEmpty())
            return special;
        switch (code) {
        case vmm::ErrorCode::InvalidArgument:
            return task == Task::AddUsb
                ? tr("The image stands on another file, or looks as if it did: the machine could read all of that.")
                : tr("A setting has a value that is not possible.");
        case vmm::ErrorCode::NotFound: return tr("A file or device that it needs is not there.");
        case vmm::ErrorCode::AlreadyExists:
            return task == Task::Rename ? tr("Another machine has this name.")
                                        : tr("Something with that name is already there.");
        case vmm::ErrorCode::PermissionDenied: return tr("You do not have the rights for that on this computer.");
        case vmm::ErrorCode::Busy:
            if (task == Task::BringImagesBack)
                return tr("The machine is in memory, or being copied.");
            return needsPresent(task) ? tr("Something else has to end first, such as a moment that is being kept.")
                                      : tr("Another program is using it at the moment.");
        case vmm::ErrorCode::Unsupported:
            if (task == Task::KeepMoment)
                return tr("A part of the machine cannot be kept in a moment.");
            if (task == Task::Suspend || task == Task::SuspendElsewhere)
                return tr("A part of the machine cannot be written to disk.");
            if (task == Task::Clone)
                return tr(
                    "One of its disks is an image that lies elsewhere, or of a kind that cannot be copied with it.");
            if (task == Task::ImportMoment)
                return tr("This computer cannot run the machine in it.");
            return task == Task::Start ? tr("One of its files is of a kind that this version does not know.")
                                       : tr("This version cannot do that.");
        case vmm::ErrorCode::NotNow:
            return needsConnector(task)
                ? tr("Every USB connector of the machine is taken, or the machine is not there any more.")
                : tr("That is not possible in the machine's present state.");
        case vmm::ErrorCode::Corrupt:
            return task == Task::ReadFile ? tr("It is damaged, or neither a CD image nor a disk image nor a kernel.")
                                          : tr("A file is damaged, or not what its name says.");
        case vmm::ErrorCode::VersionTooNew: return tr("It was written by a newer version of Chronovisor.");
        case vmm::ErrorCode::OutOfMemory: return tr("This computer has not enough free memory.");
        case vmm::ErrorCode::NoSpace: return tr("The disk of this computer is full.");
        case vmm::ErrorCode::IoError: return tr("Reading from or writing to a disk of this computer failed.");
        case vmm::ErrorCode::NoKvm: return tr("This computer offers no virtualization that can be used (/dev/kvm).");
        case vmm::ErrorCode::GuestFault: return tr("The system inside the machine crashed.");
        case vmm::ErrorCode::Cancelled: return tr("It was cancelled.");
        case vmm::ErrorCode::TimedOut: return tr("There was no answer in time.");
        case vmm::ErrorCode::Disconnected: return tr("The connection was closed by the other side.");
        case vmm::ErrorCode::Internal: return tr("That is a mistake in Chronovisor itself.");
        }
        return {};
    }

    static QString advice(Task task, vmm::ErrorCode code)
    {
        if (task == Task::ReadMoments)
            return tr(
                "Other moments are not affected. But nothing that deleted moments took is given back until it can "
                "be read, or is deleted too.");
        if (isSilent(task, code))
            return tr("Look whether it still runs, and suspend the machine or shut it down there.");
        if (auto const special = adviceOfOtherComputers(task, code); !special.isEmpty())
            return special;
        if (task == Task::ForwardPorts)
            return tr("Choose other ports in the settings, or free these before it starts the next time.");
        auto const isFile = code == vmm::ErrorCode::Corrupt || code == vmm::ErrorCode::InvalidArgument;
        if (task == Task::OpenMachine && isFile)
            return tr("Mend the file machine.json in its folder, or put another copy of it there.");
        auto const stopped = task == Task::Run || task == Task::Resume;
        switch (code) {
        case vmm::ErrorCode::InvalidArgument:
            return task == Task::AddUsb
                ? tr(
                    "If that is meant, add the image to the disks in the settings of the machine while it is off, as a "
                    "USB stick: there you are asked what it is.")
                : tr("Check the settings of the machine.");
        case vmm::ErrorCode::NotFound:
            if (task == Task::BringImagesBack)
                return tr("If the machine itself is in the trash, bring it back first. Otherwise they may be back "
                          "already, or have been deleted for good.");
            if (task == Task::BringBack)
                return tr("It may be back already, or have been deleted for good.");
            return task == Task::Restore
                ? tr("Put it back where it was, and try again. Without it the suspended state "
                     "can only be thrown away, from the machine's menu: the disks are not affected.")
                : tr("Put the file back where it was, or choose another one in the settings.");
        case vmm::ErrorCode::AlreadyExists:
            return task == Task::BringBack ? tr("Another copy of it is in the list. Remove that one first.")
                                           : tr("Choose another name.");
        case vmm::ErrorCode::PermissionDenied: return tr("Check who owns the file, or ask the administrator.");
        case vmm::ErrorCode::Busy:
            if (needsPresent(task))
                return tr("Wait for it, or cancel it, and try again. The details say what it is.");
            if (task == Task::BringImagesBack)
                return tr("Shut it down, or wait for the copy, and try again.");
            return task == Task::EjectMedium ? tr("The guest has locked the drive. Eject it there, or force it.")
                                             : tr("Close the other program and try again.");
        case vmm::ErrorCode::Unsupported:
            if (task == Task::KeepMoment)
                return tr("The details say which one, and what helps.");
            if (task == Task::Suspend || task == Task::SuspendElsewhere)
                return tr("Take it out of the machine, or wait until it has finished, and try again.");
            if (task == Task::Clone)
                return tr("Copy the image that the details name, and make a new machine of the copy.");
            if (task == Task::ReadFile)
                return tr("The details say what the file is.");
            return task == Task::Start ? tr("The details say which one; choose another in the settings.")
                                       : tr("The details say what was asked for.");
        case vmm::ErrorCode::NotNow:
            if (needsPresent(task))
                return tr("If it has not run since it came back, let it go on first. Otherwise try again when it has "
                          "finished what it is doing.");
            if (needsConnector(task))
                return tr("Unplug another device, or look whether the machine still runs. While it is off you can give "
                          "it another USB controller in its settings.");
            return task == Task::ChangeSettings ? tr("Shut the machine down first.")
                                                : tr("Try again when it has finished what it is doing.");
        case vmm::ErrorCode::Corrupt:
            if (isOfMoments(task))
                return tr("Other moments are not affected.");
            if (task == Task::ReadFile)
                return tr("Choose another file.");
            return task == Task::Restore
                ? tr("The disks are not affected. You can throw the suspended state away and start afresh.")
                : tr("Use another copy of the file.");
        case vmm::ErrorCode::VersionTooNew: return tr("Install the newer version to use it.");
        case vmm::ErrorCode::OutOfMemory: return tr("Close other programs, or give the machine less memory.");
        case vmm::ErrorCode::NoSpace:
            if (task == Task::Restore)
                return tr("The suspended state is still there, and nothing is lost. Make room on the disk and try "
                          "again.");
            return stopped ? tr("Make room on the disk, then let the machine go on: nothing is lost.")
                           : tr("Make room on the disk and try again.");
        case vmm::ErrorCode::IoError:
            if (task == Task::Restore)
                return tr("The suspended state is still there, and nothing is lost. Check the disk and try again.");
            return stopped ? tr("Check that the disk is connected, then let the machine go on.")
                           : tr("Check the disk and try again.");
        case vmm::ErrorCode::NoKvm:
            return tr("Turn it on in the firmware of this computer (“VT-x”, “SVM”), and load the module kvm.");
        case vmm::ErrorCode::GuestFault: return tr("Reset the machine to start it again.");
        case vmm::ErrorCode::Cancelled: return {};
        case vmm::ErrorCode::TimedOut:
        case vmm::ErrorCode::Disconnected: return tr("Try again.");
        case vmm::ErrorCode::Internal: return tr("Please report it, with the details.");
        }
        return {};
    }
};

Remedy remedyFor(Task task, vmm::ErrorCode code)
{
    if (task == Task::ReadMoments)
        return Remedy::DeleteForGood;
    if (task == Task::OpenMachine)
        return Remedy::ShowFolder;
    auto const isStart = task == Task::Start || task == Task::Restore;
    switch (code) {
    case vmm::ErrorCode::Busy:
        return task == Task::EjectMedium ? Remedy::ForceEject : isStart ? Remedy::Retry : Remedy::None;
    case vmm::ErrorCode::Corrupt:
    case vmm::ErrorCode::VersionTooNew: return task == Task::Restore ? Remedy::DiscardState : Remedy::None;
    case vmm::ErrorCode::InvalidArgument: return isStart ? Remedy::ChangeSettings : Remedy::None;
    case vmm::ErrorCode::Unsupported: return task == Task::Start ? Remedy::ChangeSettings : Remedy::None;
    case vmm::ErrorCode::NotFound:
        return task == Task::Start  ? Remedy::ChangeSettings
            : task == Task::Restore ? Remedy::Retry
            : task == Task::Run     ? Remedy::Resume
                                    : Remedy::None;
    case vmm::ErrorCode::OutOfMemory:
        return isStart ? Remedy::ChangeSettings : task == Task::Run ? Remedy::Resume : Remedy::None;
    case vmm::ErrorCode::NoSpace:
    case vmm::ErrorCode::IoError:
        if (task == Task::DiscardState)
            return Remedy::DiscardReally;
        return task == Task::Run ? Remedy::Resume : isStart || task == Task::Suspend ? Remedy::Retry : Remedy::None;
    case vmm::ErrorCode::NotNow: return Sentences::needsPresent(task) ? Remedy::Resume : Remedy::None;
    case vmm::ErrorCode::GuestFault: return task == Task::Run ? Remedy::Reset : Remedy::None;
    case vmm::ErrorCode::NoKvm: return isStart ? Remedy::Retry : Remedy::None;
    default: return Remedy::None;
    }
}

}

Problem problemFor(Task task, vmm::Error const& error)
{
    auto problem
        = Problem { Sentences::title(task), Sentences::reason(task, error.code), Sentences::advice(task, error.code),
              QString::fromUtf8(
                  vmm::errorCodeName(error.code).data(), static_cast<qsizetype>(vmm::errorCodeName(error.code).size()))
                  + QStringLiteral(": ") + QString::fromStdString(error.message()),
              remedyFor(task, error.code) };
    auto const part = partOf(error);
    if (task == Task::Suspend && error.code == vmm::ErrorCode::Unsupported && !part.isEmpty())
        problem.reason = Sentences::tr("A part of the machine cannot be written to disk: %1.").arg(part);
    if (error.code == vmm::ErrorCode::NoKvm && (error.osError == EACCES || error.osError == EPERM)) {
        problem.reason = Sentences::tr("You may not use the virtualization of this computer (/dev/kvm).");
        problem.advice = Sentences::tr("Add yourself to the group “kvm” (in a terminal: sudo usermod -aG kvm %1) and "
                                       "log in again.")
                             .arg(qEnvironmentVariable("USER", QStringLiteral("$USER")));
    }
    return problem;
}

QString partOf(vmm::Error const& error)
{
    auto const end = error.detail.find(": ");
    auto const part = QString::fromStdString(error.detail.substr(0, end));
    return end == std::string::npos || part.contains(QLatin1Char(' ')) ? QString() : part;
}

Problem withMissingFile(Problem problem, QString const& path, bool isCd)
{
    QFileInfo const file(path);
    problem.reason = Sentences::tr("“%1” is no longer in the folder %2.")
                         .arg(file.fileName(), QDir::toNativeSeparators(file.path()));
    if (isCd) {
        problem.advice = Sentences::tr("Put it back there, or start without it.");
        problem.remedy = Remedy::StartWithoutCd;
    }
    return problem;
}

QString remedyText(Remedy remedy)
{
    switch (remedy) {
    case Remedy::None: return {};
    case Remedy::Retry: return Sentences::tr("Try again");
    case Remedy::ForceEject: return Sentences::tr("Eject anyway");
    case Remedy::ChangeSettings: return Sentences::tr("Open the settings");
    case Remedy::DiscardState: return Sentences::tr("Throw the state away");
    case Remedy::DiscardReally: return Sentences::tr("Throw it away for good");
    case Remedy::StartWithoutCd: return Sentences::tr("Start without the CD");
    case Remedy::Reset: return Sentences::tr("Reset");
    case Remedy::Resume: return Sentences::tr("Go on");
    case Remedy::ShowFolder: return Sentences::tr("Show the folder");
    case Remedy::DeleteForGood: return Sentences::tr("Delete for good");
    }
    return {};
}

}
