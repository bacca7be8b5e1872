<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en_GB" sourcelanguage="en_GB">
<context>
    <name>ui::ClosingPage</name>
    <message numerus="yes">
        <source>%n machine(s) still run</source>
        <translation>
            <numerusform>%n machine still runs</numerusform>
            <numerusform>%n machines still run</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%1 could not be suspended.</source>
        <translation>
            <numerusform>%1 could not be suspended.</numerusform>
            <numerusform>%1 could not be suspended.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>The window closes when all of them have ended. Those that have not shut down in %n second(s) are powered off.</source>
        <translation>
            <numerusform>The window closes when all of them have ended. Those that have not shut down in %n second are powered off.</numerusform>
            <numerusform>The window closes when all of them have ended. Those that have not shut down in %n seconds are powered off.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::CompareView</name>
    <message numerus="yes">
        <source>%n difference(s)</source>
        <translation>
            <numerusform>%n difference</numerusform>
            <numerusform>%n differences</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%1 of memory and %n part(s) of the machine differ.</source>
        <translation>
            <numerusform>%1 of memory and %n part of the machine differ.</numerusform>
            <numerusform>%1 of memory and %n parts of the machine differ.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n place(s)</source>
        <translation>
            <numerusform>%n place</numerusform>
            <numerusform>%n places</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n file(s)</source>
        <translation>
            <numerusform>%n file</numerusform>
            <numerusform>%n files</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%1 of memory, %2 of the disks and %n part(s) of the machine differ.</source>
        <translation>
            <numerusform>%1 of memory, %2 of the disks and %n part of the machine differ.</numerusform>
            <numerusform>%1 of memory, %2 of the disks and %n parts of the machine differ.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::Inspector</name>
    <message numerus="yes">
        <source>%n processor(s)</source>
        <translation>
            <numerusform>%n processor</numerusform>
            <numerusform>%n processors</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n serial port(s)</source>
        <translation>
            <numerusform>%n serial port</numerusform>
            <numerusform>%n serial ports</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Stands on %n other file(s), %1</source>
        <translation>
            <numerusform>Stands on %n other file, %1</numerusform>
            <numerusform>Stands on %n other files, %1</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::MachinePage</name>
    <message numerus="yes">
        <source>Only the first %n character(s) are typed.</source>
        <translation>
            <numerusform>Only the first character is typed (%n).</numerusform>
            <numerusform>Only the first %n characters are typed.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n character(s) could not be typed: the guest&apos;s keyboard layout has no key for them.</source>
        <translation>
            <numerusform>%n character could not be typed: the guest&apos;s keyboard layout has no key for it.</numerusform>
            <numerusform>%n characters could not be typed: the guest&apos;s keyboard layout has no key for them.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::MachineSettingsPage</name>
    <message numerus="yes">
        <source>This computer has %n core(s), %1 of free memory and %2 of free disk.</source>
        <translation>
            <numerusform>This computer has %n core, %1 of free memory and %2 of free disk.</numerusform>
            <numerusform>This computer has %n cores, %1 of free memory and %2 of free disk.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::MainWindow</name>
    <message numerus="yes">
        <source>%n machine(s) in memory</source>
        <translation>
            <numerusform>%n machine in memory</numerusform>
            <numerusform>%n machines in memory</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::Moment</name>
    <message numerus="yes">
        <source>%n moment(s)</source>
        <translation>
            <numerusform>%n moment</numerusform>
            <numerusform>%n moments</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n moment(s) cannot be read.</source>
        <translation>
            <numerusform>%n moment cannot be read.</numerusform>
            <numerusform>%n moments cannot be read.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::NewMachinePage</name>
    <message numerus="yes">
        <source>This computer has %n core(s), %1 of free memory and %2 of free disk.</source>
        <translation>
            <numerusform>This computer has %n core, %1 of free memory and %2 of free disk.</numerusform>
            <numerusform>This computer has %n cores, %1 of free memory and %2 of free disk.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::TierRow</name>
    <message numerus="yes">
        <source>one every %n hour(s)</source>
        <translation>
            <numerusform>one every hour</numerusform>
            <numerusform>one every %n hours</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>one every %n minute(s)</source>
        <translation>
            <numerusform>one every minute</numerusform>
            <numerusform>one every %n minutes</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n day(s)</source>
        <translation>
            <numerusform>%n day</numerusform>
            <numerusform>%n days</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n hour(s)</source>
        <translation>
            <numerusform>%n hour</numerusform>
            <numerusform>%n hours</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>hour(s)</source>
        <comment>behind its number</comment>
        <translation>
            <numerusform>hour</numerusform>
            <numerusform>hours</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>day(s)</source>
        <comment>behind its number</comment>
        <translation>
            <numerusform>day</numerusform>
            <numerusform>days</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::TimelineCard</name>
    <message numerus="yes">
        <source>minute(s)</source>
        <translation>
            <numerusform>minute</numerusform>
            <numerusform>minutes</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::TrashCard</name>
    <message numerus="yes">
        <source>%n image(s) of %1</source>
        <translation>
            <numerusform>%n image of %1</numerusform>
            <numerusform>%n images of %1</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n entry(s) (%1) will be deleted for good.</source>
        <translation>
            <numerusform>%n entry (%1) will be deleted for good.</numerusform>
            <numerusform>%n entries (%1) will be deleted for good.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::UsbBar</name>
    <message numerus="yes">
        <source>%n more</source>
        <translation>
            <numerusform>%n more</numerusform>
            <numerusform>%n more</numerusform>
        </translation>
    </message>
</context>
</TS>
