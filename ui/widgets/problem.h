#pragma once

#include "vmm/base/error.h"

#include <QString>

namespace ui {

/// What was being done when something went wrong.
enum class Task {
    Start,
    Pause,
    Resume,
    Reset,
    PressPowerButton,
    PowerOff,
    Suspend,
    SuspendElsewhere, ///< by the other program that has it
    Restore,
    DiscardState,
    Cancel,
    InsertMedium,
    EjectMedium,
    Create,
    Clone,
    Rename,
    Remove,
    BringBack,
    BringImagesBack,
    EmptyTrash,
    ChangeSettings,
    OpenMachine,
    ReadFile,
    SaveScreenshot,
    ReadTimeline,
    ReadMoments,
    KeepMoment,
    GoToMoment,
    ChangeMoment,
    RemoveMoment,
    CompareMoments,
    ForkMoment,
    ExportMoment,
    ImportMoment,
    AttachUsb,
    DetachUsb,
    PlugUsb,
    AddUsb,
    RemoveUsb,
    ChangeUsbRules,
    CallForUsb, ///< a device of another computer
    WaitForUsb, ///< the same
    HaveUsb,    ///< the same: it was there
    ForwardPorts,
    Run, ///< nobody asked for anything: the machine stopped by itself
};

/// The button that mends it, where there is one.
enum class Remedy {
    None,
    Retry,
    ForceEject,
    StartWithoutCd,
    ChangeSettings,
    DiscardState,
    DiscardReally, ///< though it cannot be kept first
    Reset,
    Resume,
    ShowFolder,
    DeleteForGood
};

/// An error as a person reads it.
struct Problem {
    QString title;   ///< what did not work
    QString reason;  ///< why
    QString advice;  ///< what to do
    QString details; ///< the error itself, to copy into a report
    Remedy remedy = Remedy::None;
};

/// Which part of the machine it is about, by its id, where that stands in front as of an obstacle to saving; else
/// empty.
QString partOf(vmm::Error const& error);
Problem problemFor(Task task, vmm::Error const& error);
/// The same, where it is known which of the machine's files is missing.
Problem withMissingFile(Problem problem, QString const& path, bool isCd);
QString remedyText(Remedy remedy);

}
