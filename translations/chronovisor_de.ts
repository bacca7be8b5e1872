<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de_DE" sourcelanguage="en_GB">
<context>
    <name>main</name>
    <message>
        <source>A CD image, a disk image or a kernel to make a machine for.</source>
        <translation>Ein CD-Abbild, ein Festplattenabbild oder ein Kernel, für den eine Maschine angelegt werden soll.</translation>
    </message>
</context>
<context>
    <name>ui::ClosingPage</name>
    <message>
        <source>Progress of %1</source>
        <translation>Fortschritt von %1</translation>
    </message>
    <message numerus="yes">
        <source>%n machine(s) still run</source>
        <translation>
            <numerusform>%n Maschine läuft noch</numerusform>
            <numerusform>%n Maschinen laufen noch</numerusform>
        </translation>
    </message>
    <message>
        <source>&amp;Suspend</source>
        <translation>&amp;Sichern</translation>
    </message>
    <message>
        <source>&amp;Keep running</source>
        <translation>&amp;Weiterlaufen lassen</translation>
    </message>
    <message>
        <source>Shut &amp;down</source>
        <translation>&amp;Herunterfahren</translation>
    </message>
    <message>
        <source>&amp;Power off at once</source>
        <translation>Sofort &amp;ausschalten</translation>
    </message>
    <message>
        <source>&amp;Cancel</source>
        <translation>A&amp;bbrechen</translation>
    </message>
    <message>
        <source>&amp;Always do that</source>
        <translation>&amp;Immer so</translation>
    </message>
    <message>
        <source>A suspended machine goes on where it was when you restore it. What keeps running is there again as soon as you open Chronovisor.</source>
        <translation>Eine gesicherte Maschine macht dort weiter, wo sie war, wenn Sie sie wiederherstellen. Was weiterläuft, ist wieder da, sobald Sie Chronovisor öffnen.</translation>
    </message>
    <message>
        <source>The window closes when all of them have ended. The preferences say what is done with them.</source>
        <translation>Das Fenster schließt sich, sobald alle beendet sind. Was mit ihnen geschieht, steht in den Vorlieben.</translation>
    </message>
    <message>
        <source>Back to them</source>
        <translation>Zurück zu ihnen</translation>
    </message>
    <message numerus="yes">
        <source>%1 could not be suspended.</source>
        <translation>
            <numerusform>%1 konnte nicht gesichert werden.</numerusform>
            <numerusform>%1 konnten nicht gesichert werden.</numerusform>
        </translation>
    </message>
    <message>
        <source>Close Chronovisor?</source>
        <translation>Chronovisor schließen?</translation>
    </message>
    <message>
        <source>C&amp;lose</source>
        <translation>&amp;Schließen</translation>
    </message>
    <message numerus="yes">
        <source>The window closes when all of them have ended. Those that have not shut down in %n second(s) are powered off.</source>
        <translation>
            <numerusform>Das Fenster schließt sich, sobald alle beendet sind. Was in %n Sekunde nicht heruntergefahren ist, wird ausgeschaltet.</numerusform>
            <numerusform>Das Fenster schließt sich, sobald alle beendet sind. Was in %n Sekunden nicht heruntergefahren ist, wird ausgeschaltet.</numerusform>
        </translation>
    </message>
    <message>
        <source>The window closes when all of them have ended.</source>
        <translation>Das Fenster schließt sich, sobald alle beendet sind.</translation>
    </message>
</context>
<context>
    <name>ui::CompareView</name>
    <message>
        <source>What</source>
        <translation>Was</translation>
    </message>
    <message>
        <source>From “%1” to “%2”</source>
        <translation>Von „%1“ zu „%2“</translation>
    </message>
    <message>
        <source>Comparing …</source>
        <translation>Wird verglichen …</translation>
    </message>
    <message>
        <source>Configuration</source>
        <translation>Konfiguration</translation>
    </message>
    <message>
        <source>is new</source>
        <translation>ist neu</translation>
    </message>
    <message>
        <source>is not there any more</source>
        <translation>ist nicht mehr da</translation>
    </message>
    <message numerus="yes">
        <source>%n difference(s)</source>
        <translation>
            <numerusform>%n Unterschied</numerusform>
            <numerusform>%n Unterschiede</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%1 of memory and %n part(s) of the machine differ.</source>
        <translation>
            <numerusform>%1 Speicher und %n Teil der Maschine unterscheiden sich.</numerusform>
            <numerusform>%1 Speicher und %n Teile der Maschine unterscheiden sich.</numerusform>
        </translation>
    </message>
    <message>
        <source>There is more than is shown; “chronoctl moment diff” has all.</source>
        <translation>Es gibt mehr, als hier steht; „chronoctl moment diff“ hat alles.</translation>
    </message>
    <message>
        <source>Done</source>
        <translation>Fertig</translation>
    </message>
    <message>
        <source>What differs</source>
        <translation>Was sich unterscheidet</translation>
    </message>
    <message>
        <source>cannot be compared</source>
        <translation>kann nicht verglichen werden</translation>
    </message>
    <message>
        <source>Details</source>
        <translation>Einzelheiten</translation>
    </message>
    <message>
        <source>What %1 holds</source>
        <translation>Was %1 enthält</translation>
    </message>
    <message>
        <source>%1 changed</source>
        <translation>%1 geändert</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>Blocks</source>
        <translation>Blöcke</translation>
    </message>
    <message numerus="yes">
        <source>%n place(s)</source>
        <translation>
            <numerusform>%n Stelle</numerusform>
            <numerusform>%n Stellen</numerusform>
        </translation>
    </message>
    <message>
        <source>from %1</source>
        <translation>ab %1</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>Dateien</translation>
    </message>
    <message>
        <source>Files of partition %1</source>
        <translation>Dateien der Partition %1</translation>
    </message>
    <message numerus="yes">
        <source>%n file(s)</source>
        <translation>
            <numerusform>%n Datei</numerusform>
            <numerusform>%n Dateien</numerusform>
        </translation>
    </message>
    <message>
        <source>cannot be told</source>
        <translation>lassen sich nicht nennen</translation>
    </message>
    <message>
        <source>is not there</source>
        <translation>ist nicht da</translation>
    </message>
    <message numerus="yes">
        <source>%1 of memory, %2 of the disks and %n part(s) of the machine differ.</source>
        <translation>
            <numerusform>%1 Speicher, %2 der Festplatten und %n Teil der Maschine unterscheiden sich.</numerusform>
            <numerusform>%1 Speicher, %2 der Festplatten und %n Teile der Maschine unterscheiden sich.</numerusform>
        </translation>
    </message>
    <message>
        <source>The disks are being compared …</source>
        <translation>Die Festplatten werden verglichen …</translation>
    </message>
    <message>
        <source>The disks are not compared.</source>
        <translation>Die Festplatten sind nicht verglichen.</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Cancel comparing the disks</source>
        <translation>Vergleich der Festplatten abbrechen</translation>
    </message>
    <message>
        <source>Comparing the disks</source>
        <translation>Vergleich der Festplatten</translation>
    </message>
</context>
<context>
    <name>ui::ConsoleTabs</name>
    <message>
        <source>— back at “%1” (%2) —</source>
        <translation>— zurück bei „%1“ (%2) —</translation>
    </message>
    <message>
        <source>Serial %1</source>
        <translation>Seriell %1</translation>
    </message>
    <message>
        <source>Keys go to the machine. Ctrl+Shift+T leads to the timeline.</source>
        <translation>Die Tasten gehen an die Maschine. Strg+Umschalt+T führt zur Zeitleiste.</translation>
    </message>
</context>
<context>
    <name>ui::EmptyPage</name>
    <message>
        <source>No machines yet</source>
        <translation>Noch keine Maschinen</translation>
    </message>
    <message>
        <source>A machine is a computer within this one: run a system in it, suspend it in the middle of its work, and bring it back just as it was.</source>
        <translation>Eine Maschine ist ein Rechner in diesem Rechner: Lassen Sie ein System darin laufen, sichern Sie es mitten in der Arbeit, und holen Sie es genau so zurück, wie es war.</translation>
    </message>
    <message>
        <source>New machine…</source>
        <translation>Neue Maschine …</translation>
    </message>
    <message>
        <source>Try the demo machine</source>
        <translation>Demo-Maschine ausprobieren</translation>
    </message>
</context>
<context>
    <name>ui::Inspector</name>
    <message>
        <source>Processors</source>
        <translation>Prozessoren</translation>
    </message>
    <message numerus="yes">
        <source>%n processor(s)</source>
        <translation>
            <numerusform>%n Prozessor</numerusform>
            <numerusform>%n Prozessoren</numerusform>
        </translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>Arbeitsspeicher</translation>
    </message>
    <message>
        <source>%1 of memory</source>
        <translation>%1 Arbeitsspeicher</translation>
    </message>
    <message>
        <source>Disk</source>
        <translation>Festplatte</translation>
    </message>
    <message>
        <source>CD drive</source>
        <translation>CD-Laufwerk</translation>
    </message>
    <message>
        <source>Empty CD drive</source>
        <translation>Leeres CD-Laufwerk</translation>
    </message>
    <message>
        <source>Network</source>
        <translation>Netzwerk</translation>
    </message>
    <message>
        <source>Network shared with this computer</source>
        <translation>Netzwerk über diesen Rechner</translation>
    </message>
    <message>
        <source>Network, not connected</source>
        <translation>Netzwerk, nicht verbunden</translation>
    </message>
    <message>
        <source>Serial ports</source>
        <translation>Serielle Anschlüsse</translation>
    </message>
    <message numerus="yes">
        <source>%n serial port(s)</source>
        <translation>
            <numerusform>%n serieller Anschluss</numerusform>
            <numerusform>%n serielle Anschlüsse</numerusform>
        </translation>
    </message>
    <message>
        <source>Start</source>
        <translation>Starten</translation>
    </message>
    <message>
        <source>Starts the kernel %1</source>
        <translation>Startet den Kernel %1</translation>
    </message>
    <message>
        <source>Starts with UEFI</source>
        <translation>Startet mit UEFI</translation>
    </message>
    <message>
        <source>Starts with a BIOS</source>
        <translation>Startet mit einem BIOS</translation>
    </message>
    <message>
        <source>Hardware</source>
        <translation>Hardware</translation>
    </message>
    <message>
        <source>Activity</source>
        <translation>Aktivität</translation>
    </message>
    <message>
        <source>Notes</source>
        <translation>Notizen</translation>
    </message>
    <message>
        <source>Change…</source>
        <translation>Ändern …</translation>
    </message>
    <message>
        <source>Processor use</source>
        <translation>Prozessorauslastung</translation>
    </message>
    <message>
        <source>Disk throughput</source>
        <translation>Festplattendurchsatz</translation>
    </message>
    <message>
        <source>Network throughput</source>
        <translation>Netzwerkdurchsatz</translation>
    </message>
    <message>
        <source>What is this machine for?</source>
        <translation>Wofür ist diese Maschine?</translation>
    </message>
    <message>
        <source>Processor %1 %</source>
        <translation>Prozessor %1 %</translation>
    </message>
    <message>
        <source>Disks %1/s</source>
        <translation>Festplatten %1/s</translation>
    </message>
    <message>
        <source>Network %1/s</source>
        <translation>Netzwerk %1/s</translation>
    </message>
    <message>
        <source>%1 of memory in use</source>
        <translation>%1 Arbeitsspeicher belegt</translation>
    </message>
    <message>
        <source>Cable plugged in</source>
        <translation>Kabel eingesteckt</translation>
    </message>
    <message>
        <source>The cable of %1 is plugged in</source>
        <translation>Das Kabel von %1 ist eingesteckt</translation>
    </message>
    <message numerus="yes">
        <source>Stands on %n other file(s), %1</source>
        <translation>
            <numerusform>Steht auf %n weiteren Datei, %1</numerusform>
            <numerusform>Steht auf %n weiteren Dateien, %1</numerusform>
        </translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Stop making %1 independent</source>
        <translation>%1 nicht weiter unabhängig machen</translation>
    </message>
    <message>
        <source>What was copied so far stays.</source>
        <translation>Was bisher kopiert ist, bleibt.</translation>
    </message>
    <message>
        <source>Make independent</source>
        <translation>Unabhängig machen</translation>
    </message>
    <message>
        <source>Make %1 independent of its base</source>
        <translation>%1 von dem unabhängig machen, worauf sie steht</translation>
    </message>
    <message>
        <source>What the disk has of other files is copied into its own. The machine goes on meanwhile, and those files stay.</source>
        <translation>Was die Festplatte von anderen Dateien hat, wird in ihre eigene kopiert. Die Maschine läuft dabei weiter, und jene Dateien bleiben.</translation>
    </message>
    <message>
        <source>Being made independent: %1 %</source>
        <translation>Wird unabhängig gemacht: %1 %</translation>
    </message>
</context>
<context>
    <name>ui::LibraryModel</name>
    <message>
        <source>Cannot be read</source>
        <translation>Nicht lesbar</translation>
    </message>
    <message>
        <source>%1 · %2 %</source>
        <translation>%1 · %2 %</translation>
    </message>
</context>
<context>
    <name>ui::LibraryPanel</name>
    <message>
        <source>Filter</source>
        <translation>Filtern</translation>
    </message>
    <message>
        <source>Filter the machines</source>
        <translation>Maschinen filtern</translation>
    </message>
    <message>
        <source>Menu (F10)</source>
        <translation>Menü (F10)</translation>
    </message>
    <message>
        <source>Menu</source>
        <translation>Menü</translation>
    </message>
    <message>
        <source>Machines</source>
        <translation>Maschinen</translation>
    </message>
    <message>
        <source>New machine…</source>
        <translation>Neue Maschine …</translation>
    </message>
    <message>
        <source>New machine (%1)</source>
        <translation>Neue Maschine (%1)</translation>
    </message>
    <message>
        <source>No machine has that in its name.</source>
        <translation>Keine Maschine hat das im Namen.</translation>
    </message>
</context>
<context>
    <name>ui::MachinePage</name>
    <message>
        <source>The screenshot is in the clipboard.</source>
        <translation>Das Bildschirmfoto liegt in der Zwischenablage.</translation>
    </message>
    <message>
        <source>The guest has restarted.</source>
        <translation>Das Gastsystem ist neu gestartet.</translation>
    </message>
    <message>
        <source>The machine as it was could not be kept as a moment.</source>
        <translation>Der bisherige Stand der Maschine konnte nicht als Moment festgehalten werden.</translation>
    </message>
    <message>
        <source>The machine as it was is kept as “%1”.</source>
        <translation>Der bisherige Stand der Maschine ist als „%1“ festgehalten.</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>Rückgängig</translation>
    </message>
    <message>
        <source>Insert a CD</source>
        <translation>CD einlegen</translation>
    </message>
    <message>
        <source>CD images (*.iso);;All files (*)</source>
        <translation>CD-Abbilder (*.iso);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Save the screenshot</source>
        <translation>Bildschirmfoto speichern</translation>
    </message>
    <message>
        <source>Pictures (*.png)</source>
        <translation>Bilder (*.png)</translation>
    </message>
    <message>
        <source>The screenshot is in %1.</source>
        <translation>Das Bildschirmfoto liegt in %1.</translation>
    </message>
    <message>
        <source>There is no text in the clipboard.</source>
        <translation>In der Zwischenablage ist kein Text.</translation>
    </message>
    <message>
        <source>Move the pointer to the upper edge, or press Ctrl+Alt, to get the tools back.</source>
        <translation>Bewegen Sie den Zeiger an den oberen Rand oder drücken Sie Strg+Alt, um die Werkzeuge zurückzuholen.</translation>
    </message>
    <message>
        <source>Insert a CD…</source>
        <translation>CD einlegen …</translation>
    </message>
    <message>
        <source>Change the CD…</source>
        <translation>CD wechseln …</translation>
    </message>
    <message>
        <source>Eject “%1”</source>
        <translation>„%1“ auswerfen</translation>
    </message>
    <message>
        <source>Ctrl+Alt with a function key</source>
        <translation>Strg+Alt mit einer Funktionstaste</translation>
    </message>
    <message>
        <source>Fit into the window</source>
        <translation>Ins Fenster einpassen</translation>
    </message>
    <message>
        <source>%1 %</source>
        <translation>%1 %</translation>
    </message>
    <message>
        <source>Remove the machine</source>
        <translation>Maschine entfernen</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>Pause</translation>
    </message>
    <message>
        <source>Let the machine stand still</source>
        <translation>Die Maschine stillstehen lassen</translation>
    </message>
    <message>
        <source>Resume</source>
        <translation>Fortsetzen</translation>
    </message>
    <message>
        <source>Let the machine go on</source>
        <translation>Die Maschine weiterlaufen lassen</translation>
    </message>
    <message>
        <source>Restore</source>
        <translation>Wiederherstellen</translation>
    </message>
    <message>
        <source>Go on where the machine was suspended</source>
        <translation>Dort weitermachen, wo die Maschine gesichert wurde</translation>
    </message>
    <message>
        <source>Start</source>
        <translation>Starten</translation>
    </message>
    <message>
        <source>Start the machine</source>
        <translation>Die Maschine starten</translation>
    </message>
    <message>
        <source>Suspend</source>
        <translation>Sichern</translation>
    </message>
    <message>
        <source>Write the machine&apos;s state to disk, and bring it back later</source>
        <translation>Den Zustand der Maschine auf die Festplatte schreiben und später zurückholen</translation>
    </message>
    <message>
        <source>Shut down</source>
        <translation>Herunterfahren</translation>
    </message>
    <message>
        <source>Press the machine&apos;s power button</source>
        <translation>Den Einschaltknopf der Maschine drücken</translation>
    </message>
    <message>
        <source>Reset</source>
        <translation>Zurücksetzen</translation>
    </message>
    <message>
        <source>Power off at once</source>
        <translation>Sofort ausschalten</translation>
    </message>
    <message>
        <source>Throw the suspended state away</source>
        <translation>Gesicherten Zustand verwerfen</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Leave full screen</source>
        <translation>Vollbild verlassen</translation>
    </message>
    <message>
        <source>Full screen</source>
        <translation>Vollbild</translation>
    </message>
    <message>
        <source>Full screen; from within the machine Ctrl+Alt+Enter</source>
        <translation>Vollbild; aus der Maschine heraus mit Strg+Alt+Eingabe</translation>
    </message>
    <message>
        <source>Save a screenshot…</source>
        <translation>Bildschirmfoto speichern …</translation>
    </message>
    <message>
        <source>Copy a screenshot</source>
        <translation>Bildschirmfoto kopieren</translation>
    </message>
    <message>
        <source>Type the clipboard&apos;s text</source>
        <translation>Text der Zwischenablage tippen</translation>
    </message>
    <message>
        <source>Serial console</source>
        <translation>Serielle Konsole</translation>
    </message>
    <message>
        <source>Show the serial console</source>
        <translation>Serielle Konsole zeigen</translation>
    </message>
    <message>
        <source>Inspector</source>
        <translation>Inspektor</translation>
    </message>
    <message>
        <source>Show what the machine is made of</source>
        <translation>Zeigen, woraus die Maschine besteht</translation>
    </message>
    <message>
        <source>Back into the main window</source>
        <translation>Zurück ins Hauptfenster</translation>
    </message>
    <message>
        <source>In a window of its own</source>
        <translation>In einem eigenen Fenster</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>Change the machine&apos;s settings</source>
        <translation>Einstellungen der Maschine ändern</translation>
    </message>
    <message>
        <source>CD</source>
        <translation>CD</translation>
    </message>
    <message>
        <source>CD: insert and eject</source>
        <translation>CD: einlegen und auswerfen</translation>
    </message>
    <message>
        <source>Keys</source>
        <translation>Tasten</translation>
    </message>
    <message>
        <source>Send key combinations and text</source>
        <translation>Tastenkombinationen und Text senden</translation>
    </message>
    <message>
        <source>Screenshot</source>
        <translation>Bildschirmfoto</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>The machine&apos;s screen: its size, and which of several</source>
        <translation>Der Bildschirm der Maschine: seine Größe, und welcher von mehreren</translation>
    </message>
    <message>
        <source>Display %1</source>
        <translation>Bildschirm %1</translation>
    </message>
    <message>
        <source>Timeline</source>
        <translation>Zeitleiste</translation>
    </message>
    <message>
        <source>Go to the timeline</source>
        <translation>Zur Zeitleiste</translation>
    </message>
    <message>
        <source>Keep this moment</source>
        <translation>Diesen Moment festhalten</translation>
    </message>
    <message>
        <source>Keep</source>
        <translation>Festhalten</translation>
    </message>
    <message>
        <source>Keep the whole machine as it is now, while it runs on</source>
        <translation>Die ganze Maschine festhalten, wie sie jetzt ist, während sie weiterläuft</translation>
    </message>
    <message>
        <source>Fork the machine</source>
        <translation>Maschine abzweigen</translation>
    </message>
    <message>
        <source>Make another machine that goes on from now, while this one runs on</source>
        <translation>Eine weitere Maschine anlegen, die ab jetzt weitergeht, während diese weiterläuft</translation>
    </message>
    <message>
        <source>Keep the machine as it is now, with its disks</source>
        <translation>Die Maschine mit ihren Festplatten so festhalten, wie sie jetzt ist</translation>
    </message>
    <message>
        <source>USB</source>
        <translation>USB</translation>
    </message>
    <message>
        <source>Go to the USB devices</source>
        <translation>Zu den USB-Geräten gehen</translation>
    </message>
    <message>
        <source>USB: attach and detach</source>
        <translation>USB: anschließen und trennen</translation>
    </message>
    <message>
        <source>The guest has not shut down so far.</source>
        <translation>Das Gastsystem ist bisher nicht heruntergefahren.</translation>
    </message>
    <message>
        <source>The other program was asked to suspend the machine.</source>
        <translation>Das andere Programm wurde gebeten, die Maschine zu sichern.</translation>
    </message>
    <message>
        <source>The guest was asked to shut down.</source>
        <translation>Das Gastsystem wurde gebeten, herunterzufahren.</translation>
    </message>
    <message>
        <source>Power</source>
        <translation>Ein/Aus</translation>
    </message>
    <message>
        <source>Power: shut down, reset and power off</source>
        <translation>Ein/Aus: herunterfahren, zurücksetzen, sofort ausschalten</translation>
    </message>
    <message>
        <source>Function key</source>
        <translation>Funktionstaste</translation>
    </message>
    <message>
        <source>Typing the clipboard&apos;s text …</source>
        <translation>Der Text der Zwischenablage wird getippt …</translation>
    </message>
    <message numerus="yes">
        <source>Only the first %n character(s) are typed.</source>
        <translation>
            <numerusform>Nur das erste Zeichen wird getippt (%n).</numerusform>
            <numerusform>Nur die ersten %n Zeichen werden getippt.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n character(s) could not be typed: the guest&apos;s keyboard layout has no key for them.</source>
        <translation>
            <numerusform>%n Zeichen konnte nicht getippt werden: Die Tastaturbelegung des Gastes hat keine Taste dafür.</numerusform>
            <numerusform>%n Zeichen konnten nicht getippt werden: Die Tastaturbelegung des Gastes hat keine Tasten dafür.</numerusform>
        </translation>
    </message>
    <message>
        <source>Keyboard layout of the guest</source>
        <translation>Tastaturbelegung des Gastes</translation>
    </message>
    <message>
        <source>Move the pointer to the upper edge to get the tools back, or press F11 to leave full screen.</source>
        <translation>Bewegen Sie den Zeiger an den oberen Rand, um die Werkzeuge zurückzuholen, oder drücken Sie F11, um das Vollbild zu verlassen.</translation>
    </message>
    <message>
        <source>The machine had USB devices. When it goes on here, this becomes of them. %1</source>
        <translation>Die Maschine hatte USB-Geräte. Wenn sie hier weiterläuft, geschieht mit ihnen Folgendes. %1</translation>
    </message>
    <message>
        <source>Copy the machine</source>
        <translation>Maschine kopieren</translation>
    </message>
</context>
<context>
    <name>ui::MachineSettingsPage</name>
    <message>
        <source>Remove %1</source>
        <translation>%1 entfernen</translation>
    </message>
    <message>
        <source>Virtio</source>
        <translation>Virtio</translation>
    </message>
    <message>
        <source>SATA</source>
        <translation>SATA</translation>
    </message>
    <message>
        <source>USB stick</source>
        <translation>USB-Stick</translation>
    </message>
    <message>
        <source>USB stick (UAS)</source>
        <translation>USB-Stick (UAS)</translation>
    </message>
    <message>
        <source>How %1 is connected</source>
        <translation>Wie %1 angeschlossen ist</translation>
    </message>
    <message>
        <source>Read only</source>
        <translation>Nur lesen</translation>
    </message>
    <message>
        <source>empty</source>
        <translation>leer</translation>
    </message>
    <message>
        <source>Insert…</source>
        <translation>Einlegen …</translation>
    </message>
    <message>
        <source>Insert a CD into %1</source>
        <translation>CD in %1 einlegen</translation>
    </message>
    <message>
        <source>Insert a CD</source>
        <translation>CD einlegen</translation>
    </message>
    <message>
        <source>CD images (*.iso);;All files (*)</source>
        <translation>CD-Abbilder (*.iso);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Eject the CD of %1</source>
        <translation>CD aus %1 auswerfen</translation>
    </message>
    <message>
        <source>Hardware address of %1</source>
        <translation>Hardwareadresse von %1</translation>
    </message>
    <message>
        <source>Shared with this computer</source>
        <translation>Über diesen Rechner</translation>
    </message>
    <message>
        <source>Not connected</source>
        <translation>Nicht verbunden</translation>
    </message>
    <message>
        <source>Protocol</source>
        <translation>Protokoll</translation>
    </message>
    <message>
        <source>this computer only</source>
        <translation>nur von diesem Rechner</translation>
    </message>
    <message>
        <source>the whole network</source>
        <translation>vom ganzen Netzwerk</translation>
    </message>
    <message>
        <source>Reachable from</source>
        <translation>Erreichbar von</translation>
    </message>
    <message>
        <source>Port</source>
        <translation>Port</translation>
    </message>
    <message>
        <source>Port of this computer</source>
        <translation>Port dieses Rechners</translation>
    </message>
    <message>
        <source>Port of the machine</source>
        <translation>Port der Maschine</translation>
    </message>
    <message>
        <source>the port forward</source>
        <translation>die Portweiterleitung</translation>
    </message>
    <message>
        <source>Forward a port</source>
        <translation>Port weiterleiten</translation>
    </message>
    <message>
        <source>Serial port (16550)</source>
        <translation>Serieller Anschluss (16550)</translation>
    </message>
    <message>
        <source>Virtio console</source>
        <translation>Virtio-Konsole</translation>
    </message>
    <message>
        <source>Kind of %1</source>
        <translation>Art von %1</translation>
    </message>
    <message>
        <source>The kernel %1, directly</source>
        <translation>Direkt der Kernel %1</translation>
    </message>
    <message>
        <source>Move %1 up</source>
        <translation>%1 nach oben</translation>
    </message>
    <message>
        <source>Move %1 down</source>
        <translation>%1 nach unten</translation>
    </message>
    <message>
        <source>Add a disk image</source>
        <translation>Festplattenabbild hinzufügen</translation>
    </message>
    <message>
        <source>Disk images (*.qcow2 *.img *.raw);;All files (*)</source>
        <translation>Festplattenabbilder (*.qcow2 *.img *.raw);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Shut down</source>
        <translation>Herunterfahren</translation>
    </message>
    <message>
        <source>A machine needs a name.</source>
        <translation>Eine Maschine braucht einen Namen.</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>Settings of %1</source>
        <translation>Einstellungen von %1</translation>
    </message>
    <message>
        <source>General</source>
        <translation>Allgemein</translation>
    </message>
    <message>
        <source>Processors and memory</source>
        <translation>Prozessoren und Arbeitsspeicher</translation>
    </message>
    <message>
        <source>Disks</source>
        <translation>Festplatten</translation>
    </message>
    <message>
        <source>CD drives</source>
        <translation>CD-Laufwerke</translation>
    </message>
    <message>
        <source>Networks</source>
        <translation>Netzwerke</translation>
    </message>
    <message>
        <source>Serial ports</source>
        <translation>Serielle Anschlüsse</translation>
    </message>
    <message>
        <source>Starts from, in this order</source>
        <translation>Startet von, in dieser Reihenfolge</translation>
    </message>
    <message>
        <source>&amp;Name</source>
        <translation>&amp;Name</translation>
    </message>
    <message>
        <source>N&amp;otes</source>
        <translation>N&amp;otizen</translation>
    </message>
    <message>
        <source>&amp;Processors</source>
        <translation>&amp;Prozessoren</translation>
    </message>
    <message>
        <source>&amp;Memory</source>
        <translation>&amp;Arbeitsspeicher</translation>
    </message>
    <message>
        <source>Processor &amp;kind</source>
        <translation>Prozessora&amp;rt</translation>
    </message>
    <message>
        <source>&amp;Firmware</source>
        <translation>&amp;Firmware</translation>
    </message>
    <message>
        <source>Name</source>
        <translation>Name</translation>
    </message>
    <message>
        <source>Notes</source>
        <translation>Notizen</translation>
    </message>
    <message>
        <source>Processors</source>
        <translation>Prozessoren</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>Arbeitsspeicher</translation>
    </message>
    <message>
        <source>Processor kind</source>
        <translation>Prozessorart</translation>
    </message>
    <message>
        <source>Firmware</source>
        <translation>Firmware</translation>
    </message>
    <message>
        <source>As in this computer</source>
        <translation>Wie in diesem Rechner</translation>
    </message>
    <message>
        <source>Basic, for other computers too</source>
        <translation>Einfach, auch für andere Rechner</translation>
    </message>
    <message>
        <source>BIOS</source>
        <translation>BIOS</translation>
    </message>
    <message>
        <source>UEFI</source>
        <translation>UEFI</translation>
    </message>
    <message>
        <source>None</source>
        <translation>Keine</translation>
    </message>
    <message>
        <source>Add a disk image…</source>
        <translation>Festplattenabbild hinzufügen …</translation>
    </message>
    <message>
        <source>Add a CD drive</source>
        <translation>CD-Laufwerk hinzufügen</translation>
    </message>
    <message>
        <source>Add a network</source>
        <translation>Netzwerk hinzufügen</translation>
    </message>
    <message>
        <source>Add a serial port</source>
        <translation>Seriellen Anschluss hinzufügen</translation>
    </message>
    <message>
        <source>&amp;Save</source>
        <translation>&amp;Speichern</translation>
    </message>
    <message>
        <source>Size of %1</source>
        <translation>Größe von %1</translation>
    </message>
    <message>
        <source>The image grows as it fills.</source>
        <translation>Das Abbild wächst, während es sich füllt.</translation>
    </message>
    <message>
        <source>Format of %1</source>
        <translation>Format von %1</translation>
    </message>
    <message>
        <source>When you save, the image of %1 goes into the trash, and is deleted after 30 days. Without it nobody can go back to a moment that has this disk.</source>
        <translation>Beim Speichern kommt das Abbild von %1 in den Papierkorb, und nach 30 Tagen wird es gelöscht. Ohne es ist kein Moment mehr zu erreichen, der diese Festplatte hat.</translation>
    </message>
    <message>
        <source>When you save, the image of %1 goes into the trash, and is deleted after 30 days. Moments that have this disk bring it back as it was then. What they keep of it takes room until they are deleted.</source>
        <translation>Beim Speichern kommt das Abbild von %1 in den Papierkorb, und nach 30 Tagen wird es gelöscht. Momente, die diese Festplatte haben, bringen sie so zurück, wie sie damals war. Was sie davon aufbewahren, braucht Platz, bis sie gelöscht werden.</translation>
    </message>
    <message>
        <source>new</source>
        <translation>neu</translation>
    </message>
    <message>
        <source>%1 is read only</source>
        <translation>%1 ist schreibgeschützt</translation>
    </message>
    <message>
        <source>Remove, and keep its image</source>
        <translation>Entfernen und das Abbild behalten</translation>
    </message>
    <message>
        <source>Remove, with its image</source>
        <translation>Mit dem Abbild entfernen</translation>
    </message>
    <message numerus="yes">
        <source>This computer has %n core(s), %1 of free memory and %2 of free disk.</source>
        <translation>
            <numerusform>Dieser Rechner hat %n Kern, %1 freien Arbeitsspeicher und %2 freien Festplattenplatz.</numerusform>
            <numerusform>Dieser Rechner hat %n Kerne, %1 freien Arbeitsspeicher und %2 freien Festplattenplatz.</numerusform>
        </translation>
    </message>
    <message>
        <source>A kernel is started without firmware.</source>
        <translation>Ein Kernel startet ohne Firmware.</translation>
    </message>
    <message>
        <source>Add a new disk</source>
        <translation>Neue Festplatte hinzufügen</translation>
    </message>
    <message>
        <source>Choose…</source>
        <translation>Auswählen …</translation>
    </message>
    <message>
        <source>All files (*)</source>
        <translation>Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Choose the kernel</source>
        <translation>Kernel auswählen</translation>
    </message>
    <message>
        <source>without an initial RAM disk</source>
        <translation>ohne anfängliche RAM-Disk</translation>
    </message>
    <message>
        <source>with the initial RAM disk %1</source>
        <translation>mit der anfänglichen RAM-Disk %1</translation>
    </message>
    <message>
        <source>Choose the initial RAM disk</source>
        <translation>Anfängliche RAM-Disk auswählen</translation>
    </message>
    <message>
        <source>the initial RAM disk</source>
        <translation>die anfängliche RAM-Disk</translation>
    </message>
    <message>
        <source>Command line</source>
        <translation>Befehlszeile</translation>
    </message>
    <message>
        <source>The kernel&apos;s command line</source>
        <translation>Befehlszeile des Kernels</translation>
    </message>
    <message>
        <source>Plugged in</source>
        <translation>Eingesteckt</translation>
    </message>
    <message>
        <source>The cable of %1 is plugged in</source>
        <translation>Das Kabel von %1 ist eingesteckt</translation>
    </message>
    <message>
        <source>These changes are not saved yet.</source>
        <translation>Diese Änderungen sind noch nicht gespeichert.</translation>
    </message>
    <message>
        <source>&amp;Discard changes</source>
        <translation>Änderungen &amp;verwerfen</translation>
    </message>
    <message>
        <source>The machine is suspended: name, notes and the timeline can be changed, the rest once it was restored and shut down.</source>
        <translation>Die Maschine ist gesichert: Name, Notizen und die Zeitleiste lassen sich ändern, der Rest, nachdem sie wiederhergestellt und heruntergefahren wurde.</translation>
    </message>
    <message>
        <source>Timeline</source>
        <translation>Zeitleiste</translation>
    </message>
    <message>
        <source>Name, notes, CDs, cables, port forwards, the timeline and what becomes of USB devices can be changed while the machine runs, the rest once it is off.</source>
        <translation>Name, Notizen, CDs, Kabel, Portweiterleitungen, die Zeitleiste und was aus USB-Geräten wird, lassen sich ändern, während die Maschine läuft, alles andere, sobald sie aus ist.</translation>
    </message>
    <message>
        <source>%1 – USB controller (xHCI)</source>
        <translation>%1 – USB-Controller (xHCI)</translation>
    </message>
    <message>
        <source>USB controller</source>
        <translation>USB-Controller</translation>
    </message>
    <message>
        <source>USB</source>
        <translation>USB</translation>
    </message>
    <message>
        <source>Add a USB device</source>
        <translation>Ein USB-Gerät hinzufügen</translation>
    </message>
    <message>
        <source>When the machine comes back from a moment or is restored, devices of this computer &amp;are</source>
        <translation>Kommt die Maschine von einem Moment zurück oder wird sie wiederhergestellt, &amp;werden Geräte dieses Rechners</translation>
    </message>
    <message>
        <source>USB devices of this computer after going back</source>
        <translation>USB-Geräte dieses Rechners nach dem Zurückgehen</translation>
    </message>
    <message>
        <source>plugged in anew</source>
        <translation>neu eingesteckt</translation>
    </message>
    <message>
        <source>left on this computer</source>
        <translation>hier gelassen</translation>
    </message>
    <message>
        <source>asked about</source>
        <translation>erfragt</translation>
    </message>
    <message>
        <source>%1 MiB of video memory</source>
        <translation>%1 MiB Grafikspeicher</translation>
    </message>
    <message>
        <source>Video memory of %1</source>
        <translation>Grafikspeicher von %1</translation>
    </message>
    <message>
        <source>Screens and pointer</source>
        <translation>Bildschirme und Zeiger</translation>
    </message>
    <message>
        <source>Add a screen</source>
        <translation>Bildschirm hinzufügen</translation>
    </message>
    <message>
        <source>Pointer without capture (Virtio tablet)</source>
        <translation>Zeiger ohne Einfangen (Virtio-Tablett)</translation>
    </message>
    <message>
        <source>Without it, and where the machine&apos;s system has no driver for it, the pointer is captured.</source>
        <translation>Ohne das, und wo das System der Maschine keinen Treiber dafür hat, wird der Zeiger eingefangen.</translation>
    </message>
    <message>
        <source>&amp;Random number generators</source>
        <translation>Z&amp;ufallszahlengeneratoren</translation>
    </message>
    <message>
        <source>Random number generators</source>
        <translation>Zufallszahlengeneratoren</translation>
    </message>
    <message>
        <source>Ports on which firmware writes its log</source>
        <translation>Ports, auf die Firmware ihr Protokoll schreibt</translation>
    </message>
    <message>
        <source>Another machine has this name.</source>
        <translation>Eine andere Maschine heißt schon so.</translation>
    </message>
    <message>
        <source>Make larger…</source>
        <translation>Vergrößern …</translation>
    </message>
    <message>
        <source>New size of %1</source>
        <translation>Neue Größe von %1</translation>
    </message>
    <message>
        <source>When you save, %1 becomes larger, and nobody can make it smaller again. What is on it grows when you make a partition and its file system larger in the machine.</source>
        <translation>Beim Speichern wird %1 größer, und niemand kann sie wieder kleiner machen. Was auf ihr ist, wächst, wenn in der Maschine eine Partition und deren Dateisystem vergrößert werden.</translation>
    </message>
    <message>
        <source>%1 looks like a qcow2 image that stands on %2, and the machine could read all of that. A system whose raw disk %1 was can have made it look so. What is it?</source>
        <translation>%1 sieht wie ein qcow2-Abbild aus, das auf %2 aufbaut, und die Maschine könnte alles darin lesen. Ein System, dessen Festplatte im Rohformat %1 war, kann das hineingeschrieben haben. Was ist es?</translation>
    </message>
    <message>
        <source>It is qcow2</source>
        <translation>Es ist qcow2</translation>
    </message>
    <message>
        <source>It is raw</source>
        <translation>Es ist raw</translation>
    </message>
    <message>
        <source>All that this computer&apos;s processor can. Where another one lacks some of it, or is of another maker, neither a suspended machine nor its moments go on.</source>
        <translation>Alles, was der Prozessor dieses Rechners kann. Wo einem anderen davon etwas fehlt oder er von einem anderen Hersteller ist, geht es weder mit einer gesicherten Maschine noch mit ihren Momenten weiter.</translation>
    </message>
    <message>
        <source>What each processor of this maker can since about 2011: the machine and its moments go on on other computers, too.</source>
        <translation>Was jeder Prozessor dieses Herstellers seit etwa 2011 kann: Mit der Maschine und ihren Momenten geht es auch auf anderen Rechnern weiter.</translation>
    </message>
</context>
<context>
    <name>ui::MainWindow</name>
    <message>
        <source>This machine is in a window of its own.</source>
        <translation>Diese Maschine ist in einem eigenen Fenster.</translation>
    </message>
    <message>
        <source>Bring it back</source>
        <translation>Zurückholen</translation>
    </message>
    <message>
        <source>“%1” was removed, with its disks.</source>
        <translation>„%1“ wurde mit ihren Festplatten entfernt.</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>Rückgängig</translation>
    </message>
    <message>
        <source>Images of “%1” are in the trash.</source>
        <translation>Abbilder von „%1“ liegen im Papierkorb.</translation>
    </message>
    <message>
        <source>%1 (copy)</source>
        <translation>%1 (Kopie)</translation>
    </message>
    <message>
        <source>Chronovisor: machines run in the background</source>
        <translation>Chronovisor: Maschinen laufen im Hintergrund</translation>
    </message>
    <message numerus="yes">
        <source>%n machine(s) in memory</source>
        <translation>
            <numerusform>%n Maschine im Speicher</numerusform>
            <numerusform>%n Maschinen im Speicher</numerusform>
        </translation>
    </message>
    <message>
        <source>%1 of memory free</source>
        <translation>%1 Arbeitsspeicher frei</translation>
    </message>
    <message>
        <source>New machine…</source>
        <translation>Neue Maschine …</translation>
    </message>
    <message>
        <source>Try the demo machine</source>
        <translation>Demo-Maschine ausprobieren</translation>
    </message>
    <message>
        <source>Preferences</source>
        <translation>Vorlieben</translation>
    </message>
    <message>
        <source>Find a machine</source>
        <translation>Maschine suchen</translation>
    </message>
    <message>
        <source>Go to the list</source>
        <translation>Zur Liste</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>Umbenennen</translation>
    </message>
    <message>
        <source>About Chronovisor</source>
        <translation>Über Chronovisor</translation>
    </message>
    <message>
        <source>Quit</source>
        <translation>Beenden</translation>
    </message>
    <message>
        <source>Menu</source>
        <translation>Menü</translation>
    </message>
    <message>
        <source>State</source>
        <translation>Zustand</translation>
    </message>
    <message>
        <source>This computer</source>
        <translation>Dieser Rechner</translation>
    </message>
    <message>
        <source>Chronovisor %1: machines that can be suspended and brought back. Free software under the BSD 2-clause licence.</source>
        <translation>Chronovisor %1: Maschinen, die man sichern und zurückholen kann. Freie Software unter der BSD-2-Klausel-Lizenz.</translation>
    </message>
    <message>
        <source>Machines cannot start: why?</source>
        <translation>Maschinen können nicht starten: warum?</translation>
    </message>
    <message>
        <source>Back to them</source>
        <translation>Zurück zu ihnen</translation>
    </message>
    <message>
        <source>%1 (%2)</source>
        <comment>a machine, a moment</comment>
        <translation>%1 (%2)</translation>
    </message>
    <message>
        <source>“%1” is a machine of its own, and goes on from “%2” at its first start.</source>
        <translation>„%1“ ist eine eigene Maschine und geht beim ersten Start ab „%2“ weiter.</translation>
    </message>
    <message>
        <source>Show it</source>
        <translation>Zeigen</translation>
    </message>
    <message>
        <source>Rename it</source>
        <translation>Umbenennen</translation>
    </message>
    <message>
        <source>“%1” is in memory here: shut it down or suspend it, and then remove it.</source>
        <translation>„%1“ ist hier im Speicher: Fahren Sie sie herunter oder sichern Sie sie, und entfernen Sie sie dann.</translation>
    </message>
    <message>
        <source>Shut down</source>
        <translation>Herunterfahren</translation>
    </message>
    <message>
        <source>What shall be done with “%1”?</source>
        <translation>Was soll mit „%1“ geschehen?</translation>
    </message>
    <message>
        <source>Insert it into %1</source>
        <translation>In %1 einlegen</translation>
    </message>
    <message>
        <source>New machine</source>
        <translation>Neue Maschine</translation>
    </message>
    <message>
        <source>Remove the machine</source>
        <translation>Maschine entfernen</translation>
    </message>
    <message>
        <source>The changes to the settings of %1 are not saved yet.</source>
        <translation>Die Änderungen an den Einstellungen von %1 sind noch nicht gespeichert.</translation>
    </message>
    <message>
        <source>The folder is %1.</source>
        <translation>Der Ordner ist %1.</translation>
    </message>
    <message>
        <source>“%1” was removed, with its folder. Disk images elsewhere stay where they are.</source>
        <translation>„%1“ wurde mit ihrem Ordner entfernt. Festplattenabbilder an anderen Orten bleiben, wo sie sind.</translation>
    </message>
    <message>
        <source>Open Chronovisor</source>
        <translation>Chronovisor öffnen</translation>
    </message>
    <message>
        <source>Import a moment as a machine</source>
        <translation>Einen Moment als Maschine importieren</translation>
    </message>
    <message>
        <source>Import a moment as a machine…</source>
        <translation>Einen Moment als Maschine importieren …</translation>
    </message>
    <message>
        <source>Copying to “%1” …</source>
        <translation>Kopiere nach „%1“ …</translation>
    </message>
    <message>
        <source>Importing “%1” …</source>
        <translation>„%1“ wird importiert …</translation>
    </message>
    <message>
        <source>The settings of “%1” could not be saved.</source>
        <translation>Die Einstellungen von „%1“ konnten nicht gespeichert werden.</translation>
    </message>
    <message>
        <source>“%1” is in the list now.</source>
        <translation>„%1“ ist jetzt in der Liste.</translation>
    </message>
</context>
<context>
    <name>ui::MessageBar</name>
    <message>
        <source>Details</source>
        <translation>Einzelheiten</translation>
    </message>
    <message>
        <source>Copy the details</source>
        <translation>Einzelheiten kopieren</translation>
    </message>
    <message>
        <source>Dismiss</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Dismiss this message</source>
        <translation>Diese Meldung schließen</translation>
    </message>
    <message>
        <source>Details of the message</source>
        <translation>Einzelheiten der Meldung</translation>
    </message>
</context>
<context>
    <name>ui::Moment</name>
    <message>
        <source>Moment</source>
        <translation>Moment</translation>
    </message>
    <message>
        <source>Automatic moment</source>
        <translation>Automatischer Moment</translation>
    </message>
    <message>
        <source>Before going back</source>
        <translation>Vor dem Zurückgehen</translation>
    </message>
    <message>
        <source>Before a change of settings</source>
        <translation>Vor einer Änderung der Einstellungen</translation>
    </message>
    <message>
        <source>When the program was closed</source>
        <translation>Beim Schließen des Programms</translation>
    </message>
    <message>
        <source>Before the suspended state was thrown away</source>
        <translation>Vor dem Verwerfen des gesicherten Zustands</translation>
    </message>
    <message>
        <source>Today, %1</source>
        <translation>Heute, %1</translation>
    </message>
    <message>
        <source>Yesterday, %1</source>
        <translation>Gestern, %1</translation>
    </message>
    <message>
        <source>%1, %2</source>
        <comment>a date, a time</comment>
        <translation>%1, %2</translation>
    </message>
    <message>
        <source>%1 of memory changed</source>
        <translation>%1 Speicher geändert</translation>
    </message>
    <message>
        <source>%1 its own, %2 shared</source>
        <translation>%1 eigen, %2 geteilt</translation>
    </message>
    <message>
        <source>its disks: %1 their own, %2 shared</source>
        <translation>seine Festplatten: %1 eigen, %2 geteilt</translation>
    </message>
    <message>
        <source>what its disks take is not known: %1</source>
        <translation>was seine Festplatten belegen, ist nicht bekannt: %1</translation>
    </message>
    <message>
        <source>%1 on the disk</source>
        <translation>%1 auf der Festplatte</translation>
    </message>
    <message>
        <source>kept by the program</source>
        <translation>vom Programm festgehalten</translation>
    </message>
    <message>
        <source>pinned</source>
        <translation>angeheftet</translation>
    </message>
    <message numerus="yes">
        <source>%n moment(s)</source>
        <translation>
            <numerusform>%n Moment</numerusform>
            <numerusform>%n Momente</numerusform>
        </translation>
    </message>
    <message>
        <source>A moment is being kept.</source>
        <translation>Ein Moment wird gerade festgehalten.</translation>
    </message>
    <message>
        <source>The machine is busy: wait until it has finished.</source>
        <translation>Die Maschine ist beschäftigt: Warten Sie, bis sie fertig ist.</translation>
    </message>
    <message>
        <source>The machine was off</source>
        <translation>Die Maschine war aus</translation>
    </message>
    <message>
        <source>%1 of the disks changed</source>
        <translation>%1 der Festplatten geändert</translation>
    </message>
    <message>
        <source>The machine has crashed: reset it or power it off, then its present can be kept.</source>
        <translation>Die Maschine ist abgestürzt: Setzen Sie sie zurück oder schalten Sie sie aus, dann lässt sich die Gegenwart festhalten.</translation>
    </message>
    <message>
        <source>The machine is on its way to a moment: start it, then its present can be kept.</source>
        <translation>Die Maschine ist auf dem Weg zu einem Moment: Starten Sie sie, dann lässt sich die Gegenwart festhalten.</translation>
    </message>
    <message>
        <source>The machine could not keep a moment by itself: %1</source>
        <translation>Die Maschine konnte von sich aus keinen Moment festhalten: %1</translation>
    </message>
    <message>
        <source>Something is wrong with the timeline; the machine runs on: %1</source>
        <translation>Mit der Zeitleiste stimmt etwas nicht; die Maschine läuft weiter: %1</translation>
    </message>
    <message>
        <source>%1, %2 over the budget of %3, which only you can free</source>
        <translation>%1, %2 über dem Budget von %3, die nur Sie freigeben können</translation>
    </message>
    <message>
        <source>%1, %2 over the budget of %3</source>
        <translation>%1, %2 über dem Budget von %3</translation>
    </message>
    <message>
        <source>%1 of %2</source>
        <translation>%1 von %2</translation>
    </message>
    <message numerus="yes">
        <source>%n moment(s) cannot be read.</source>
        <translation>
            <numerusform>%n Moment lässt sich nicht lesen.</numerusform>
            <numerusform>%n Momente lassen sich nicht lesen.</numerusform>
        </translation>
    </message>
    <message>
        <source>Moments (*%1)</source>
        <translation>Momente (*%1)</translation>
    </message>
    <message>
        <source>All files (*)</source>
        <translation>Alle Dateien (*)</translation>
    </message>
    <message>
        <source>This cannot be kept now: %1. Detach it, or wait until it has finished.</source>
        <translation>Das lässt sich jetzt nicht festhalten: %1. Trennen Sie es, oder warten Sie, bis es fertig ist.</translation>
    </message>
    <message>
        <source>%1 (disks: not known)</source>
        <translation>%1 (Festplatten: nicht bekannt)</translation>
    </message>
    <message>
        <source>%1 (disks: %2)</source>
        <translation>%1 (Festplatten: %2)</translation>
    </message>
    <message>
        <source>memory changes by %1/s</source>
        <translation>der Speicher ändert sich um %1/s</translation>
    </message>
    <message>
        <source>one more: about %1</source>
        <comment>moment</comment>
        <translation>noch ein Moment: etwa %1</translation>
    </message>
    <message>
        <source>one more: about %1 in %2 s</source>
        <comment>moment</comment>
        <translation>noch ein Moment: etwa %1 in %2 s</translation>
    </message>
    <message>
        <source>%1/s</source>
        <comment>bytes</comment>
        <translation>%1/s</translation>
    </message>
    <message>
        <source>Moments (*%1 state.json)</source>
        <translation>Momente (*%1 state.json)</translation>
    </message>
</context>
<context>
    <name>ui::NewMachinePage</name>
    <message>
        <source>Choose a medium</source>
        <translation>Medium auswählen</translation>
    </message>
    <message>
        <source>CDs, disk images and kernels (*.iso *.qcow2 *.img *.raw *.elf vmlinuz* bzImage*)</source>
        <translation>CDs, Festplattenabbilder und Kernel (*.iso *.qcow2 *.img *.raw *.elf vmlinuz* bzImage*)</translation>
    </message>
    <message>
        <source>All files (*)</source>
        <translation>Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Looking at %1 …</source>
        <translation>Sehe mir %1 an …</translation>
    </message>
    <message>
        <source>&lt;b&gt;The demo machine&lt;/b&gt;: a tiny system of our own that draws, answers keys and counts on its disk. Nothing is downloaded.</source>
        <translation>&lt;b&gt;Die Demo-Maschine&lt;/b&gt;: ein winziges eigenes System, das zeichnet, auf Tasten antwortet und auf seiner Festplatte zählt. Es wird nichts heruntergeladen.</translation>
    </message>
    <message>
        <source>&lt;b&gt;%1&lt;/b&gt;: a CD whose system is not known</source>
        <translation>&lt;b&gt;%1&lt;/b&gt;: eine CD mit unbekanntem System</translation>
    </message>
    <message>
        <source>&lt;b&gt;%2&lt;/b&gt; on the CD %1</source>
        <translation>&lt;b&gt;%2&lt;/b&gt; auf der CD %1</translation>
    </message>
    <message>
        <source>&lt;b&gt;%1&lt;/b&gt;: a disk image of %2 (%3)</source>
        <translation>&lt;b&gt;%1&lt;/b&gt;: ein Festplattenabbild von %2 (%3)</translation>
    </message>
    <message>
        <source>&lt;b&gt;%1&lt;/b&gt;: a kernel that is started directly</source>
        <translation>&lt;b&gt;%1&lt;/b&gt;: ein Kernel, der direkt gestartet wird</translation>
    </message>
    <message>
        <source>grows as it fills; %1</source>
        <translation>wächst mit ihrem Inhalt; %1</translation>
    </message>
    <message>
        <source>a kernel is started without firmware</source>
        <translation>ein Kernel startet ohne Firmware</translation>
    </message>
    <message>
        <source>Another system</source>
        <translation>Ein anderes System</translation>
    </message>
    <message>
        <source>New machine</source>
        <translation>Neue Maschine</translation>
    </message>
    <message>
        <source>What shall it start from?</source>
        <translation>Wovon soll sie starten?</translation>
    </message>
    <message>
        <source>Drop a CD image, a disk image or a kernel here, or choose one. Everything else fills itself in.</source>
        <translation>Ziehen Sie ein CD-Abbild, ein Festplattenabbild oder einen Kernel hierher, oder wählen Sie eines aus. Alles Weitere füllt sich von selbst aus.</translation>
    </message>
    <message>
        <source>Choose a file…</source>
        <translation>Datei auswählen …</translation>
    </message>
    <message>
        <source>The demo machine</source>
        <translation>Die Demo-Maschine</translation>
    </message>
    <message>
        <source>The machine</source>
        <translation>Die Maschine</translation>
    </message>
    <message>
        <source>S&amp;ystem</source>
        <translation>S&amp;ystem</translation>
    </message>
    <message>
        <source>&amp;Name</source>
        <translation>&amp;Name</translation>
    </message>
    <message>
        <source>&amp;Processors</source>
        <translation>&amp;Prozessoren</translation>
    </message>
    <message>
        <source>&amp;Memory</source>
        <translation>&amp;Arbeitsspeicher</translation>
    </message>
    <message>
        <source>&amp;Disk</source>
        <translation>Fe&amp;stplatte</translation>
    </message>
    <message>
        <source>&amp;Firmware</source>
        <translation>&amp;Firmware</translation>
    </message>
    <message>
        <source>N&amp;etwork</source>
        <translation>N&amp;etzwerk</translation>
    </message>
    <message>
        <source>System</source>
        <translation>System</translation>
    </message>
    <message>
        <source>Name</source>
        <translation>Name</translation>
    </message>
    <message>
        <source>Processors</source>
        <translation>Prozessoren</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>Arbeitsspeicher</translation>
    </message>
    <message>
        <source>Disk</source>
        <translation>Festplatte</translation>
    </message>
    <message>
        <source>Firmware</source>
        <translation>Firmware</translation>
    </message>
    <message>
        <source>Network</source>
        <translation>Netzwerk</translation>
    </message>
    <message>
        <source>More</source>
        <translation>Mehr</translation>
    </message>
    <message>
        <source>S&amp;tart it at once</source>
        <translation>Gleich s&amp;tarten</translation>
    </message>
    <message>
        <source>&amp;Create and start</source>
        <translation>Anlegen &amp;und starten</translation>
    </message>
    <message>
        <source>&amp;Create</source>
        <translation>An&amp;legen</translation>
    </message>
    <message>
        <source>BIOS</source>
        <translation>BIOS</translation>
    </message>
    <message>
        <source>UEFI</source>
        <translation>UEFI</translation>
    </message>
    <message>
        <source>None</source>
        <translation>Keine</translation>
    </message>
    <message>
        <source>Shared with this computer</source>
        <translation>Über diesen Rechner</translation>
    </message>
    <message>
        <source>Not connected</source>
        <translation>Nicht verbunden</translation>
    </message>
    <message numerus="yes">
        <source>This computer has %n core(s), %1 of free memory and %2 of free disk.</source>
        <translation>
            <numerusform>Dieser Rechner hat %n Kern, %1 freien Arbeitsspeicher und %2 freien Festplattenplatz.</numerusform>
            <numerusform>Dieser Rechner hat %n Kerne, %1 freien Arbeitsspeicher und %2 freien Festplattenplatz.</numerusform>
        </translation>
    </message>
    <message>
        <source>Choose the initial RAM disk</source>
        <translation>Anfängliche RAM-Disk auswählen</translation>
    </message>
    <message>
        <source>&amp;Initial RAM disk</source>
        <translation>Anfängliche RAM-&amp;Disk</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>Initial RAM disk</source>
        <translation>Anfängliche RAM-Disk</translation>
    </message>
    <message>
        <source>Choose…</source>
        <translation>Auswählen …</translation>
    </message>
    <message>
        <source>Command &amp;line</source>
        <translation>&amp;Befehlszeile</translation>
    </message>
    <message>
        <source>The kernel&apos;s command line</source>
        <translation>Befehlszeile des Kernels</translation>
    </message>
    <message>
        <source>The machine writes to this file where it lies. It is not copied.</source>
        <translation>Die Maschine schreibt in diese Datei, wo sie liegt. Sie wird nicht kopiert.</translation>
    </message>
    <message>
        <source>The network card needs a driver for virtio 1.0, which this system may not have.</source>
        <translation>Die Netzwerkkarte braucht einen Treiber für Virtio 1.0, den dieses System vielleicht nicht hat.</translation>
    </message>
    <message>
        <source>Another machine has this name.</source>
        <translation>Eine andere Maschine heißt schon so.</translation>
    </message>
    <message>
        <source>all that it needs</source>
        <translation>alles, was sie braucht</translation>
    </message>
    <message>
        <source>This file looks like a qcow2 image that stands on &lt;b&gt;%1&lt;/b&gt;, and the machine could read all of that. A system whose raw disk this file was can have made it look so. Choose what it is.</source>
        <translation>Diese Datei sieht wie ein qcow2-Abbild aus, das auf &lt;b&gt;%1&lt;/b&gt; aufbaut, und die Maschine könnte alles darin lesen. Ein System, dessen Festplatte im Rohformat diese Datei war, kann das hineingeschrieben haben. Wählen Sie, was sie ist.</translation>
    </message>
    <message>
        <source>F&amp;ormat</source>
        <translation>F&amp;ormat</translation>
    </message>
    <message>
        <source>Format of the disk image</source>
        <translation>Format des Festplattenabbilds</translation>
    </message>
    <message>
        <source>qcow2, as it looks</source>
        <translation>qcow2, wie es aussieht</translation>
    </message>
    <message>
        <source>raw</source>
        <translation>raw</translation>
    </message>
</context>
<context>
    <name>ui::PageFrame</name>
    <message>
        <source>Back (Esc)</source>
        <translation>Zurück (Esc)</translation>
    </message>
    <message>
        <source>Back</source>
        <translation>Zurück</translation>
    </message>
</context>
<context>
    <name>ui::PastView</name>
    <message>
        <source>The screen at “%1”</source>
        <translation>Der Bildschirm bei „%1“</translation>
    </message>
    <message>
        <source>The present is kept first (Enter)</source>
        <translation>Die Gegenwart wird vorher festgehalten (Eingabe)</translation>
    </message>
    <message>
        <source>Go back to here</source>
        <translation>Hierher zurückgehen</translation>
    </message>
    <message>
        <source>Back to now</source>
        <translation>Zum Jetzt</translation>
    </message>
    <message>
        <source>Show what the machine shows now (Esc)</source>
        <translation>Zeigen, was die Maschine jetzt zeigt (Esc)</translation>
    </message>
    <message>
        <source>Fork</source>
        <translation>Abzweigen</translation>
    </message>
    <message>
        <source>Make another machine that goes on from here, while this one stays as it is (F)</source>
        <translation>Eine weitere Maschine anlegen, die von hier weitergeht, während diese bleibt, wie sie ist (F)</translation>
    </message>
</context>
<context>
    <name>ui::PreferencesPage</name>
    <message>
        <source>Preferences</source>
        <translation>Vorlieben</translation>
    </message>
    <message>
        <source>Looks</source>
        <translation>Aussehen</translation>
    </message>
    <message>
        <source>Machines</source>
        <translation>Maschinen</translation>
    </message>
    <message>
        <source>&amp;Colours</source>
        <translation>&amp;Farben</translation>
    </message>
    <message>
        <source>&amp;Language</source>
        <translation>&amp;Sprache</translation>
    </message>
    <message>
        <source>When the application is closed, machines that &amp;run are</source>
        <translation>Beim Schließen werden &amp;laufende Maschinen</translation>
    </message>
    <message>
        <source>A suspended machine goes on where it was when it is restored.</source>
        <translation>Eine gesicherte Maschine macht dort weiter, wo sie war, wenn sie wiederhergestellt wird.</translation>
    </message>
    <message>
        <source>Colours</source>
        <translation>Farben</translation>
    </message>
    <message>
        <source>Language</source>
        <translation>Sprache</translation>
    </message>
    <message>
        <source>When the application is closed</source>
        <translation>Beim Schließen der Anwendung</translation>
    </message>
    <message>
        <source>As the desktop</source>
        <translation>Wie die Arbeitsumgebung</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>Hell</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>Dunkel</translation>
    </message>
    <message>
        <source>suspended</source>
        <translation>gesichert</translation>
    </message>
    <message>
        <source>kept running in the background</source>
        <translation>im Hintergrund weiter betrieben</translation>
    </message>
    <message>
        <source>shut down</source>
        <translation>heruntergefahren</translation>
    </message>
    <message>
        <source>what I say then</source>
        <translation>behandelt, wie ich dann sage</translation>
    </message>
    <message>
        <source>USB devices</source>
        <translation>USB-Geräte</translation>
    </message>
    <message>
        <source>Removed machines</source>
        <translation>Entfernte Maschinen</translation>
    </message>
</context>
<context>
    <name>ui::Problem</name>
    <message>
        <source>The machine could not be started.</source>
        <translation>Die Maschine konnte nicht gestartet werden.</translation>
    </message>
    <message>
        <source>The machine could not be paused.</source>
        <translation>Die Maschine konnte nicht pausiert werden.</translation>
    </message>
    <message>
        <source>The machine could not go on.</source>
        <translation>Die Maschine konnte nicht weiterlaufen.</translation>
    </message>
    <message>
        <source>The machine could not be reset.</source>
        <translation>Die Maschine konnte nicht zurückgesetzt werden.</translation>
    </message>
    <message>
        <source>The machine could not be asked to shut down.</source>
        <translation>Die Maschine konnte nicht zum Herunterfahren aufgefordert werden.</translation>
    </message>
    <message>
        <source>The machine could not be powered off.</source>
        <translation>Die Maschine konnte nicht ausgeschaltet werden.</translation>
    </message>
    <message>
        <source>The machine could not be suspended.</source>
        <translation>Die Maschine konnte nicht gesichert werden.</translation>
    </message>
    <message>
        <source>The suspended machine could not be restored.</source>
        <translation>Die gesicherte Maschine konnte nicht wiederhergestellt werden.</translation>
    </message>
    <message>
        <source>The suspended state could not be thrown away.</source>
        <translation>Der gesicherte Zustand konnte nicht verworfen werden.</translation>
    </message>
    <message>
        <source>The work could not be cancelled.</source>
        <translation>Die Arbeit konnte nicht abgebrochen werden.</translation>
    </message>
    <message>
        <source>The CD could not be inserted.</source>
        <translation>Die CD konnte nicht eingelegt werden.</translation>
    </message>
    <message>
        <source>The CD could not be ejected.</source>
        <translation>Die CD konnte nicht ausgeworfen werden.</translation>
    </message>
    <message>
        <source>The machine could not be created.</source>
        <translation>Die Maschine konnte nicht angelegt werden.</translation>
    </message>
    <message>
        <source>The machine could not be copied.</source>
        <translation>Die Maschine konnte nicht kopiert werden.</translation>
    </message>
    <message>
        <source>The machine could not be renamed.</source>
        <translation>Die Maschine konnte nicht umbenannt werden.</translation>
    </message>
    <message>
        <source>The machine could not be removed.</source>
        <translation>Die Maschine konnte nicht entfernt werden.</translation>
    </message>
    <message>
        <source>The settings could not be saved.</source>
        <translation>Die Einstellungen konnten nicht gespeichert werden.</translation>
    </message>
    <message>
        <source>This machine cannot be read.</source>
        <translation>Diese Maschine ist nicht lesbar.</translation>
    </message>
    <message>
        <source>This file cannot be used.</source>
        <translation>Diese Datei lässt sich nicht verwenden.</translation>
    </message>
    <message>
        <source>The screenshot could not be saved.</source>
        <translation>Das Bildschirmfoto konnte nicht gespeichert werden.</translation>
    </message>
    <message>
        <source>The machine has stopped.</source>
        <translation>Die Maschine ist stehen geblieben.</translation>
    </message>
    <message>
        <source>A setting has a value that is not possible.</source>
        <translation>Eine Einstellung hat einen unmöglichen Wert.</translation>
    </message>
    <message>
        <source>A file or device that it needs is not there.</source>
        <translation>Eine Datei oder ein Gerät, das gebraucht wird, ist nicht da.</translation>
    </message>
    <message>
        <source>Something with that name is already there.</source>
        <translation>Etwas mit diesem Namen gibt es schon.</translation>
    </message>
    <message>
        <source>You do not have the rights for that on this computer.</source>
        <translation>Sie haben auf diesem Rechner nicht die Rechte dafür.</translation>
    </message>
    <message>
        <source>Another program is using it at the moment.</source>
        <translation>Ein anderes Programm benutzt es gerade.</translation>
    </message>
    <message>
        <source>This version cannot do that.</source>
        <translation>Diese Version kann das nicht.</translation>
    </message>
    <message>
        <source>That is not possible in the machine&apos;s present state.</source>
        <translation>Das ist im jetzigen Zustand der Maschine nicht möglich.</translation>
    </message>
    <message>
        <source>A file is damaged, or not what its name says.</source>
        <translation>Eine Datei ist beschädigt oder nicht das, was ihr Name sagt.</translation>
    </message>
    <message>
        <source>It was written by a newer version of Chronovisor.</source>
        <translation>Es wurde von einer neueren Version von Chronovisor geschrieben.</translation>
    </message>
    <message>
        <source>This computer has not enough free memory.</source>
        <translation>Dieser Rechner hat nicht genug freien Arbeitsspeicher.</translation>
    </message>
    <message>
        <source>The disk of this computer is full.</source>
        <translation>Die Festplatte dieses Rechners ist voll.</translation>
    </message>
    <message>
        <source>Reading from or writing to a disk of this computer failed.</source>
        <translation>Das Lesen von oder Schreiben auf eine Festplatte dieses Rechners ist fehlgeschlagen.</translation>
    </message>
    <message>
        <source>This computer offers no virtualization that can be used (/dev/kvm).</source>
        <translation>Dieser Rechner bietet keine benutzbare Virtualisierung (/dev/kvm).</translation>
    </message>
    <message>
        <source>The system inside the machine crashed.</source>
        <translation>Das System in der Maschine ist abgestürzt.</translation>
    </message>
    <message>
        <source>It was cancelled.</source>
        <translation>Es wurde abgebrochen.</translation>
    </message>
    <message>
        <source>There was no answer in time.</source>
        <translation>Es kam nicht rechtzeitig eine Antwort.</translation>
    </message>
    <message>
        <source>The connection was closed by the other side.</source>
        <translation>Die Gegenseite hat die Verbindung geschlossen.</translation>
    </message>
    <message>
        <source>That is a mistake in Chronovisor itself.</source>
        <translation>Das ist ein Fehler in Chronovisor selbst.</translation>
    </message>
    <message>
        <source>Check the settings of the machine.</source>
        <translation>Prüfen Sie die Einstellungen der Maschine.</translation>
    </message>
    <message>
        <source>Put the file back where it was, or choose another one in the settings.</source>
        <translation>Legen Sie die Datei zurück an ihren Platz, oder wählen Sie in den Einstellungen eine andere.</translation>
    </message>
    <message>
        <source>Choose another name.</source>
        <translation>Wählen Sie einen anderen Namen.</translation>
    </message>
    <message>
        <source>Check who owns the file, or ask the administrator.</source>
        <translation>Prüfen Sie, wem die Datei gehört, oder fragen Sie den Verwalter.</translation>
    </message>
    <message>
        <source>The guest has locked the drive. Eject it there, or force it.</source>
        <translation>Das Gastsystem hat das Laufwerk gesperrt. Werfen Sie die CD dort aus, oder erzwingen Sie es.</translation>
    </message>
    <message>
        <source>Close the other program and try again.</source>
        <translation>Schließen Sie das andere Programm und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>The details say what was asked for.</source>
        <translation>Die Einzelheiten sagen, was verlangt war.</translation>
    </message>
    <message>
        <source>Shut the machine down first.</source>
        <translation>Fahren Sie die Maschine zuerst herunter.</translation>
    </message>
    <message>
        <source>Try again when it has finished what it is doing.</source>
        <translation>Versuchen Sie es noch einmal, wenn sie damit fertig ist, was sie gerade tut.</translation>
    </message>
    <message>
        <source>The disks are not affected. You can throw the suspended state away and start afresh.</source>
        <translation>Die Festplatten sind nicht betroffen. Sie können den gesicherten Zustand verwerfen und neu starten.</translation>
    </message>
    <message>
        <source>Use another copy of the file.</source>
        <translation>Verwenden Sie eine andere Kopie der Datei.</translation>
    </message>
    <message>
        <source>Install the newer version to use it.</source>
        <translation>Installieren Sie die neuere Version, um es zu verwenden.</translation>
    </message>
    <message>
        <source>Close other programs, or give the machine less memory.</source>
        <translation>Schließen Sie andere Programme, oder geben Sie der Maschine weniger Arbeitsspeicher.</translation>
    </message>
    <message>
        <source>Make room on the disk, then let the machine go on: nothing is lost.</source>
        <translation>Schaffen Sie Platz auf der Festplatte und lassen Sie die Maschine dann weiterlaufen: Es ist nichts verloren.</translation>
    </message>
    <message>
        <source>Make room on the disk and try again.</source>
        <translation>Schaffen Sie Platz auf der Festplatte und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Check that the disk is connected, then let the machine go on.</source>
        <translation>Prüfen Sie, ob die Festplatte angeschlossen ist, und lassen Sie die Maschine dann weiterlaufen.</translation>
    </message>
    <message>
        <source>Check the disk and try again.</source>
        <translation>Prüfen Sie die Festplatte und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Reset the machine to start it again.</source>
        <translation>Setzen Sie die Maschine zurück, um sie wieder zu starten.</translation>
    </message>
    <message>
        <source>Try again.</source>
        <translation>Versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Please report it, with the details.</source>
        <translation>Bitte melden Sie ihn mit den Einzelheiten.</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>Noch einmal versuchen</translation>
    </message>
    <message>
        <source>Eject anyway</source>
        <translation>Trotzdem auswerfen</translation>
    </message>
    <message>
        <source>Open the settings</source>
        <translation>Einstellungen öffnen</translation>
    </message>
    <message>
        <source>Throw the state away</source>
        <translation>Zustand verwerfen</translation>
    </message>
    <message>
        <source>Reset</source>
        <translation>Zurücksetzen</translation>
    </message>
    <message>
        <source>Go on</source>
        <translation>Weiter</translation>
    </message>
    <message>
        <source>Show the folder</source>
        <translation>Ordner zeigen</translation>
    </message>
    <message>
        <source>One of its files is of a kind that this version does not know.</source>
        <translation>Eine ihrer Dateien ist von einer Art, die diese Version nicht kennt.</translation>
    </message>
    <message>
        <source>The details say which one; choose another in the settings.</source>
        <translation>Die Einzelheiten sagen, welche; wählen Sie in den Einstellungen eine andere.</translation>
    </message>
    <message>
        <source>“%1” is no longer in the folder %2.</source>
        <translation>„%1“ ist nicht mehr im Ordner %2.</translation>
    </message>
    <message>
        <source>Put it back there, or start without it.</source>
        <translation>Legen Sie sie dorthin zurück, oder starten Sie ohne sie.</translation>
    </message>
    <message>
        <source>Start without the CD</source>
        <translation>Ohne die CD starten</translation>
    </message>
    <message>
        <source>Turn it on in the firmware of this computer (“VT-x”, “SVM”), and load the module kvm.</source>
        <translation>Schalten Sie sie in der Firmware dieses Rechners ein („VT-x“, „SVM“), und laden Sie das Modul kvm.</translation>
    </message>
    <message>
        <source>You may not use the virtualization of this computer (/dev/kvm).</source>
        <translation>Sie dürfen die Virtualisierung dieses Rechners nicht benutzen (/dev/kvm).</translation>
    </message>
    <message>
        <source>Add yourself to the group “kvm” (in a terminal: sudo usermod -aG kvm %1) and log in again.</source>
        <translation>Nehmen Sie sich in die Gruppe „kvm“ auf (im Terminal: sudo usermod -aG kvm %1), und melden Sie sich neu an.</translation>
    </message>
    <message>
        <source>The machine&apos;s moments cannot be read.</source>
        <translation>Die Momente der Maschine lassen sich nicht lesen.</translation>
    </message>
    <message>
        <source>The moment could not be kept.</source>
        <translation>Der Moment ließ sich nicht festhalten.</translation>
    </message>
    <message>
        <source>The machine could not go back to this moment.</source>
        <translation>Die Maschine konnte nicht zu diesem Moment zurückgehen.</translation>
    </message>
    <message>
        <source>The moment could not be changed.</source>
        <translation>Der Moment ließ sich nicht ändern.</translation>
    </message>
    <message>
        <source>The moment could not be deleted or brought back.</source>
        <translation>Der Moment ließ sich nicht löschen oder zurückholen.</translation>
    </message>
    <message>
        <source>A part of the machine cannot be kept in a moment.</source>
        <translation>Ein Teil der Maschine lässt sich nicht in einem Moment festhalten.</translation>
    </message>
    <message>
        <source>The details say which one, and what helps.</source>
        <translation>Welcher das ist und was hilft, steht in den Einzelheiten.</translation>
    </message>
    <message>
        <source>Other moments are not affected.</source>
        <translation>Andere Momente sind nicht betroffen.</translation>
    </message>
    <message>
        <source>The moments could not be compared.</source>
        <translation>Die Momente ließen sich nicht vergleichen.</translation>
    </message>
    <message>
        <source>No machine could be made of this moment.</source>
        <translation>Aus diesem Moment konnte keine Maschine gemacht werden.</translation>
    </message>
    <message>
        <source>The USB device could not be attached.</source>
        <translation>Das USB-Gerät konnte nicht angeschlossen werden.</translation>
    </message>
    <message>
        <source>The USB device could not be detached.</source>
        <translation>Das USB-Gerät konnte nicht getrennt werden.</translation>
    </message>
    <message>
        <source>The device could not be plugged in or out.</source>
        <translation>Das Gerät konnte nicht ein- oder ausgesteckt werden.</translation>
    </message>
    <message>
        <source>The device could not be added.</source>
        <translation>Das Gerät konnte nicht hinzugefügt werden.</translation>
    </message>
    <message>
        <source>The device could not be removed.</source>
        <translation>Das Gerät konnte nicht entfernt werden.</translation>
    </message>
    <message>
        <source>The rule for USB devices could not be saved.</source>
        <translation>Die Regel für USB-Geräte konnte nicht gespeichert werden.</translation>
    </message>
    <message>
        <source>A moment cannot be read.</source>
        <translation>Ein Moment lässt sich nicht lesen.</translation>
    </message>
    <message>
        <source>Other moments are not affected. But nothing that deleted moments took is given back until it can be read, or is deleted too.</source>
        <translation>Andere Momente sind nicht betroffen. Aber der Platz gelöschter Momente wird erst frei, wenn er sich lesen lässt oder auch gelöscht ist.</translation>
    </message>
    <message>
        <source>Delete for good</source>
        <translation>Endgültig löschen</translation>
    </message>
    <message>
        <source>Some port forwards of the machine are missing.</source>
        <translation>Der Maschine fehlen Portweiterleitungen.</translation>
    </message>
    <message>
        <source>The details say what the file is.</source>
        <translation>Was für eine Datei das ist, steht in den Einzelheiten.</translation>
    </message>
    <message>
        <source>Choose other ports in the settings, or free these before it starts the next time.</source>
        <translation>Wählen Sie in den Einstellungen andere Ports, oder geben Sie diese frei, bevor sie das nächste Mal startet.</translation>
    </message>
    <message>
        <source>Put it back where it was, and try again. Without it the suspended state can only be thrown away, from the machine&apos;s menu: the disks are not affected.</source>
        <translation>Legen Sie die Datei an ihren Platz zurück und versuchen Sie es noch einmal. Ohne sie lässt sich der gesicherte Zustand nur verwerfen, im Menü der Maschine: Die Festplatten sind nicht betroffen.</translation>
    </message>
    <message>
        <source>Something else has to end first, such as a moment that is being kept.</source>
        <translation>Erst muss etwas anderes fertig werden, etwa ein Moment, der gerade festgehalten wird.</translation>
    </message>
    <message>
        <source>Wait for it, or cancel it, and try again. The details say what it is.</source>
        <translation>Warten Sie darauf, oder brechen Sie es ab, und versuchen Sie es noch einmal. Was es ist, steht in den Einzelheiten.</translation>
    </message>
    <message>
        <source>If it has not run since it came back, let it go on first. Otherwise try again when it has finished what it is doing.</source>
        <translation>Wenn sie nicht gelaufen ist, seit sie wieder da ist, lassen Sie sie erst weiterlaufen. Sonst versuchen Sie es noch einmal, wenn sie damit fertig ist, was sie gerade tut.</translation>
    </message>
    <message>
        <source>Take it out of the machine, or wait until it has finished, and try again.</source>
        <translation>Nehmen Sie ihn aus der Maschine, oder warten Sie, bis er fertig ist, und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>A part of the machine cannot be written to disk: %1.</source>
        <translation>Ein Teil der Maschine kann nicht auf die Festplatte geschrieben werden: %1.</translation>
    </message>
    <message>
        <source>One of its disks is an image that lies elsewhere, or of a kind that cannot be copied with it.</source>
        <translation>Eine ihrer Festplatten ist ein Abbild, das anderswo liegt, oder von einer Art, die nicht mitkopiert werden kann.</translation>
    </message>
    <message>
        <source>Copy the image that the details name, and make a new machine of the copy.</source>
        <translation>Kopieren Sie das Abbild, das in den Einzelheiten steht, und machen Sie aus der Kopie eine neue Maschine.</translation>
    </message>
    <message>
        <source>The machine could not be brought back.</source>
        <translation>Die Maschine konnte nicht zurückgeholt werden.</translation>
    </message>
    <message>
        <source>The trash could not be emptied.</source>
        <translation>Der Papierkorb konnte nicht geleert werden.</translation>
    </message>
    <message>
        <source>Mend the file machine.json in its folder, or put another copy of it there.</source>
        <translation>Reparieren Sie die Datei machine.json in ihrem Ordner, oder legen Sie eine andere Kopie davon dorthin.</translation>
    </message>
    <message>
        <source>It may be back already, or have been deleted for good.</source>
        <translation>Vielleicht ist sie schon zurück, oder endgültig gelöscht.</translation>
    </message>
    <message>
        <source>Another copy of it is in the list. Remove that one first.</source>
        <translation>Eine andere Kopie von ihr ist in der Liste. Entfernen Sie zuerst diese.</translation>
    </message>
    <message>
        <source>Another machine has this name.</source>
        <translation>Eine andere Maschine heißt schon so.</translation>
    </message>
    <message>
        <source>The moment could not be exported.</source>
        <translation>Der Moment konnte nicht exportiert werden.</translation>
    </message>
    <message>
        <source>No machine could be made of this file.</source>
        <translation>Aus dieser Datei konnte keine Maschine gemacht werden.</translation>
    </message>
    <message>
        <source>This computer cannot run the machine in it.</source>
        <translation>Dieser Rechner kann die Maschine darin nicht ausführen.</translation>
    </message>
    <message>
        <source>The disk images could not be brought back.</source>
        <translation>Die Abbilder konnten nicht zurückgeholt werden.</translation>
    </message>
    <message>
        <source>The machine is in memory, or being copied.</source>
        <translation>Die Maschine ist im Speicher oder wird gerade kopiert.</translation>
    </message>
    <message>
        <source>If the machine itself is in the trash, bring it back first. Otherwise they may be back already, or have been deleted for good.</source>
        <translation>Liegt die Maschine selbst im Papierkorb, holen Sie zuerst sie zurück. Sonst sind sie vielleicht schon wieder da oder endgültig gelöscht.</translation>
    </message>
    <message>
        <source>Shut it down, or wait for the copy, and try again.</source>
        <translation>Fahren Sie sie herunter oder warten Sie auf die Kopie, und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Throw it away for good</source>
        <translation>Endgültig verwerfen</translation>
    </message>
    <message>
        <source>A part of the machine cannot be written to disk.</source>
        <translation>Ein Teil der Maschine kann nicht auf die Festplatte geschrieben werden.</translation>
    </message>
    <message>
        <source>The other program does not answer.</source>
        <translation>Das andere Programm antwortet nicht.</translation>
    </message>
    <message>
        <source>Look whether it still runs, and suspend the machine or shut it down there.</source>
        <translation>Sehen Sie nach, ob es noch läuft, und sichern Sie die Maschine dort oder fahren Sie sie herunter.</translation>
    </message>
    <message>
        <source>No USB device came from the other computer.</source>
        <translation>Vom anderen Rechner kam kein USB-Gerät.</translation>
    </message>
    <message>
        <source>The machine cannot wait for USB devices there.</source>
        <translation>Die Maschine kann dort nicht auf USB-Geräte warten.</translation>
    </message>
    <message>
        <source>That is no address.</source>
        <translation>Das ist keine Adresse.</translation>
    </message>
    <message>
        <source>There is no such computer or socket.</source>
        <translation>Diesen Rechner oder Socket gibt es nicht.</translation>
    </message>
    <message>
        <source>This computer has no such address.</source>
        <translation>Diese Adresse hat dieser Rechner nicht.</translation>
    </message>
    <message>
        <source>The other computer cannot be reached.</source>
        <translation>Der andere Rechner ist nicht zu erreichen.</translation>
    </message>
    <message>
        <source>No device is passed on there.</source>
        <translation>Dort wird kein Gerät weitergereicht.</translation>
    </message>
    <message>
        <source>It is a name and a port, such as desk:4000, a port of this computer alone, or the path of a socket.</source>
        <translation>Sie besteht aus einem Namen und einem Port, etwa desk:4000, aus einem Port dieses Rechners allein oder aus dem Pfad eines Sockets.</translation>
    </message>
    <message>
        <source>Check the address, and the network of both.</source>
        <translation>Prüfen Sie die Adresse und das Netzwerk beider Rechner.</translation>
    </message>
    <message>
        <source>Choose a port above 1023: those below are the system&apos;s.</source>
        <translation>Wählen Sie einen Port über 1023: Die darunter gehören dem System.</translation>
    </message>
    <message>
        <source>Choose another port.</source>
        <translation>Wählen Sie einen anderen Port.</translation>
    </message>
    <message>
        <source>Start usbredirect on the other computer first.</source>
        <translation>Starten Sie zuerst usbredirect auf dem anderen Rechner.</translation>
    </message>
    <message>
        <source>What answers there is not usbredirect.</source>
        <translation>Was dort antwortet, ist nicht usbredirect.</translation>
    </message>
    <message>
        <source>Check whether usbredirect runs there, and whether the firewall lets the port through.</source>
        <translation>Prüfen Sie, ob usbredirect dort läuft und ob die Firewall den Port durchlässt.</translation>
    </message>
    <message>
        <source>At 0.0.0.0 the machine waits at all that it has.</source>
        <translation>Mit 0.0.0.0 wartet die Maschine an allen, die er hat.</translation>
    </message>
    <message>
        <source>Every USB connector of the machine is taken, or the machine is not there any more.</source>
        <translation>Alle USB-Anschlüsse der Maschine sind belegt, oder die Maschine ist nicht mehr da.</translation>
    </message>
    <message>
        <source>Unplug another device, or look whether the machine still runs. While it is off you can give it another USB controller in its settings.</source>
        <translation>Stecken Sie ein anderes Gerät ab, oder sehen Sie nach, ob die Maschine noch läuft. Solange sie aus ist, können Sie ihr in ihren Einstellungen einen weiteren USB-Controller geben.</translation>
    </message>
    <message>
        <source>A USB device of another computer is gone.</source>
        <translation>Ein USB-Gerät eines anderen Rechners ist weg.</translation>
    </message>
    <message>
        <source>It is damaged, or neither a CD image nor a disk image nor a kernel.</source>
        <translation>Sie ist beschädigt oder weder CD-Abbild noch Festplattenabbild noch Kernel.</translation>
    </message>
    <message>
        <source>Choose another file.</source>
        <translation>Wählen Sie eine andere Datei.</translation>
    </message>
    <message>
        <source>Bring it again when the other computer and the network are ready.</source>
        <translation>Holen Sie es wieder, wenn der andere Rechner und das Netzwerk bereit sind.</translation>
    </message>
    <message>
        <source>The suspended state is still there, and nothing is lost. Make room on the disk and try again.</source>
        <translation>Der gesicherte Zustand ist noch da, nichts ist verloren. Schaffen Sie Platz auf der Festplatte und versuchen Sie es erneut.</translation>
    </message>
    <message>
        <source>The suspended state is still there, and nothing is lost. Check the disk and try again.</source>
        <translation>Der gesicherte Zustand ist noch da, nichts ist verloren. Prüfen Sie die Festplatte und versuchen Sie es erneut.</translation>
    </message>
    <message>
        <source>The image stands on another file, or looks as if it did: the machine could read all of that.</source>
        <translation>Das Abbild baut auf einer anderen Datei auf oder sieht so aus: Die Maschine könnte alles darin lesen.</translation>
    </message>
    <message>
        <source>If that is meant, add the image to the disks in the settings of the machine while it is off, as a USB stick: there you are asked what it is.</source>
        <translation>Wenn das gewollt ist, fügen Sie das Abbild in den Einstellungen der Maschine, während sie aus ist, zu den Festplatten hinzu, als USB-Stick: Dort werden Sie gefragt, was es ist.</translation>
    </message>
</context>
<context>
    <name>ui::Reasons</name>
    <message>
        <source>what this system&apos;s makers recommend</source>
        <translation>was die Hersteller dieses Systems empfehlen</translation>
    </message>
    <message>
        <source>more than this system&apos;s minimum</source>
        <translation>mehr als das Mindeste für dieses System</translation>
    </message>
    <message>
        <source>as much as this computer can spare</source>
        <translation>so viel, wie dieser Rechner entbehren kann</translation>
    </message>
    <message>
        <source>a good start for most systems</source>
        <translation>passt für die meisten Systeme</translation>
    </message>
    <message>
        <source>the medium starts only this way</source>
        <translation>das Medium startet nur so</translation>
    </message>
    <message>
        <source>the other firmware is not installed</source>
        <translation>die andere Firmware ist nicht installiert</translation>
    </message>
    <message>
        <source>Virtualization is available.</source>
        <translation>Virtualisierung ist verfügbar.</translation>
    </message>
    <message>
        <source>This computer offers no virtualization: turn it on in the firmware (“VT-x”, “SVM”) and load the module kvm.</source>
        <translation>Dieser Rechner bietet keine Virtualisierung: Schalten Sie sie in der Firmware ein („VT-x“, „SVM“), und laden Sie das Modul kvm.</translation>
    </message>
    <message>
        <source>You may not use virtualization: add yourself to the group “kvm” and log in again.</source>
        <translation>Sie dürfen die Virtualisierung nicht benutzen: Nehmen Sie sich in die Gruppe „kvm“ auf, und melden Sie sich neu an.</translation>
    </message>
    <message>
        <source>This computer&apos;s virtualization cannot be used.</source>
        <translation>Die Virtualisierung dieses Rechners ist nicht benutzbar.</translation>
    </message>
    <message>
        <source>%1 processors are more than the %2 cores of this computer: it will be slow.</source>
        <translation>%1 Prozessoren sind mehr als die %2 Kerne dieses Rechners: Es wird langsam.</translation>
    </message>
    <message>
        <source>%1 of memory is more than the %2 that are free now.</source>
        <translation>%1 Arbeitsspeicher sind mehr als die %2, die jetzt frei sind.</translation>
    </message>
    <message>
        <source>%1 of memory is more than this computer has (%2).</source>
        <translation>%1 Arbeitsspeicher sind mehr, als dieser Rechner hat (%2).</translation>
    </message>
    <message>
        <source>The disk can grow to %1, and %2 are free.</source>
        <translation>Die Festplatte kann auf %1 wachsen, und %2 sind frei.</translation>
    </message>
    <message>
        <source>The firmware is not installed on this computer.</source>
        <translation>Die Firmware ist auf diesem Rechner nicht installiert.</translation>
    </message>
</context>
<context>
    <name>ui::ScreenView</name>
    <message>
        <source>Screen of %1</source>
        <translation>Bildschirm von %1</translation>
    </message>
    <message>
        <source>The machine&apos;s last picture</source>
        <translation>Das letzte Bild der Maschine</translation>
    </message>
    <message>
        <source>Running without a screen: use its serial console.</source>
        <translation>Läuft ohne Bildschirm: Benutzen Sie die serielle Konsole.</translation>
    </message>
    <message>
        <source>Restore</source>
        <translation>Wiederherstellen</translation>
    </message>
    <message>
        <source>Start</source>
        <translation>Starten</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>Suspend it there</source>
        <translation>Dort sichern</translation>
    </message>
    <message>
        <source>Keys go to the machine. Ctrl+Alt leads back to the tools.</source>
        <translation>Die Tasten gehen an die Maschine. Strg+Alt führt zurück zu den Werkzeugen.</translation>
    </message>
    <message>
        <source>The rest of the text was not typed.</source>
        <translation>Der Rest des Textes wurde nicht getippt.</translation>
    </message>
</context>
<context>
    <name>ui::ScreenWidget</name>
    <message>
        <source>Press Ctrl+Alt to get the pointer back</source>
        <translation>Strg+Alt gibt den Zeiger wieder frei</translation>
    </message>
    <message>
        <source>This desktop does not let programs hold the pointer: it stops at the edge. Ctrl+Alt lets it go.</source>
        <translation>Dieser Desktop lässt den Zeiger nicht festhalten: Er bleibt am Rand stehen. Strg+Alt gibt ihn frei.</translation>
    </message>
</context>
<context>
    <name>ui::TerminalWidget</name>
    <message>
        <source>&amp;Copy</source>
        <translation>&amp;Kopieren</translation>
    </message>
    <message>
        <source>&amp;Paste</source>
        <translation>&amp;Einfügen</translation>
    </message>
    <message>
        <source>Select &amp;all</source>
        <translation>&amp;Alles auswählen</translation>
    </message>
    <message>
        <source>Select with the &amp;keyboard</source>
        <translation>Mit der &amp;Tastatur auswählen</translation>
    </message>
    <message>
        <source>&amp;Larger text</source>
        <translation>&amp;Größere Schrift</translation>
    </message>
    <message>
        <source>&amp;Smaller text</source>
        <translation>K&amp;leinere Schrift</translation>
    </message>
    <message>
        <source>&amp;Normal size</source>
        <translation>&amp;Normale Größe</translation>
    </message>
    <message>
        <source>Clear the &amp;window</source>
        <translation>&amp;Fenster leeren</translation>
    </message>
</context>
<context>
    <name>ui::TierRow</name>
    <message>
        <source>all of them</source>
        <translation>alle</translation>
    </message>
    <message>
        <source>one an hour</source>
        <translation>stündlich einer</translation>
    </message>
    <message>
        <source>one a day</source>
        <translation>täglich einer</translation>
    </message>
    <message>
        <source>one a week</source>
        <translation>wöchentlich einer</translation>
    </message>
    <message numerus="yes">
        <source>one every %n hour(s)</source>
        <translation>
            <numerusform>jede Stunde einer</numerusform>
            <numerusform>alle %n Stunden einer</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>one every %n minute(s)</source>
        <translation>
            <numerusform>jede Minute einer</numerusform>
            <numerusform>alle %n Minuten einer</numerusform>
        </translation>
    </message>
    <message>
        <source>%1 for %2</source>
        <comment>one an hour, 30 days</comment>
        <translation>%1 für %2</translation>
    </message>
    <message numerus="yes">
        <source>%n day(s)</source>
        <translation>
            <numerusform>%n Tag</numerusform>
            <numerusform>%n Tage</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n hour(s)</source>
        <translation>
            <numerusform>%n Stunde</numerusform>
            <numerusform>%n Stunden</numerusform>
        </translation>
    </message>
    <message>
        <source>for</source>
        <comment>one an hour for 30 days</comment>
        <translation>für</translation>
    </message>
    <message>
        <source>Which moments stay</source>
        <translation>Welche Momente bleiben</translation>
    </message>
    <message>
        <source>How long they stay</source>
        <translation>Wie lange sie bleiben</translation>
    </message>
    <message>
        <source>Hours or days</source>
        <translation>Stunden oder Tage</translation>
    </message>
    <message>
        <source>Do not keep these</source>
        <translation>Diese nicht aufheben</translation>
    </message>
    <message numerus="yes">
        <source>hour(s)</source>
        <comment>behind its number</comment>
        <translation>
            <numerusform>Stunde</numerusform>
            <numerusform>Stunden</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>day(s)</source>
        <comment>behind its number</comment>
        <translation>
            <numerusform>Tag</numerusform>
            <numerusform>Tage</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::TimelineAccessible</name>
    <message>
        <source>Now</source>
        <translation>Jetzt</translation>
    </message>
    <message>
        <source>Go back to this moment</source>
        <translation>Zu diesem Moment zurückgehen</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>Umbenennen</translation>
    </message>
    <message>
        <source>Pin or unpin</source>
        <translation>Anheften oder lösen</translation>
    </message>
    <message>
        <source>Delete</source>
        <translation>Löschen</translation>
    </message>
    <message>
        <source>Make another machine from this moment</source>
        <translation>Aus diesem Moment eine weitere Maschine machen</translation>
    </message>
    <message>
        <source>Keep this moment</source>
        <translation>Diesen Moment festhalten</translation>
    </message>
    <message>
        <source>Keep this moment, and make another machine from it</source>
        <translation>Diesen Moment festhalten und daraus eine weitere Maschine machen</translation>
    </message>
    <message>
        <source>came from “%1”</source>
        <translation>ging aus „%1“ hervor</translation>
    </message>
    <message>
        <source>%1, marked for comparing</source>
        <translation>%1, zum Vergleichen vorgemerkt</translation>
    </message>
    <message>
        <source>Mark for comparing, or compare with the marked one</source>
        <translation>Zum Vergleichen vormerken oder mit dem vorgemerkten vergleichen</translation>
    </message>
    <message>
        <source>Note</source>
        <translation>Notiz</translation>
    </message>
    <message>
        <source>Export as one file</source>
        <translation>Als eine Datei exportieren</translation>
    </message>
    <message>
        <source>Bring back what was deleted last</source>
        <translation>Zuletzt Gelöschtes zurückholen</translation>
    </message>
    <message>
        <source>Export as a folder</source>
        <translation>Als Ordner exportieren</translation>
    </message>
    <message>
        <source>Import a moment as a machine</source>
        <translation>Einen Moment als Maschine importieren</translation>
    </message>
</context>
<context>
    <name>ui::TimelineAxis</name>
    <message>
        <source>now</source>
        <translation>jetzt</translation>
    </message>
</context>
<context>
    <name>ui::TimelineCard</name>
    <message>
        <source>What you keep, name, note or pin stays until you delete it.</source>
        <translation>Was Sie festhalten, benennen, mit einer Notiz versehen oder anheften, bleibt, bis Sie es löschen.</translation>
    </message>
    <message>
        <source>Of these moments only the last one stays. %1</source>
        <translation>Von diesen Momenten bleibt nur der letzte. %1</translation>
    </message>
    <message>
        <source>Of these moments stay: %1. %2</source>
        <translation>Von diesen Momenten bleiben: %1. %2</translation>
    </message>
    <message>
        <source>Keep moments while the machine is &amp;busy, every</source>
        <translation>Momente festhalten, solange die Maschine &amp;beschäftigt ist, alle</translation>
    </message>
    <message numerus="yes">
        <source>minute(s)</source>
        <translation>
            <numerusform>Minute</numerusform>
            <numerusform>Minuten</numerusform>
        </translation>
    </message>
    <message>
        <source>Minutes between two moments</source>
        <translation>Minuten zwischen zwei Momenten</translation>
    </message>
    <message>
        <source>Most space for all moments, in GiB</source>
        <translation>Größter Platz für alle Momente, in GiB</translation>
    </message>
    <message>
        <source>They take %1 now, without what disks keep for them.</source>
        <translation>Sie belegen jetzt %1, ohne das, was Festplatten für sie aufheben.</translation>
    </message>
    <message>
        <source>Keep a moment when the program is c&amp;losed</source>
        <translation>Einen Moment festhalten, wenn das Programm ges&amp;chlossen wird</translation>
    </message>
    <message>
        <source>All moments &amp;together take at most</source>
        <translation>Alle Momente &amp;zusammen belegen höchstens</translation>
    </message>
    <message>
        <source>That is %1 too much: the oldest of those that the machine has kept by itself go first.</source>
        <translation>Das sind %1 zu viel: Zuerst gehen die ältesten von denen, die die Maschine selbst festgehalten hat.</translation>
    </message>
    <message>
        <source>Change how lon&amp;g they stay</source>
        <translation>Ändern, wie lan&amp;ge sie bleiben</translation>
    </message>
    <message>
        <source>Add another</source>
        <translation>Weitere hinzufügen</translation>
    </message>
    <message>
        <source>Keep a moment before its settings c&amp;hange, or its suspended state is thrown away</source>
        <translation>Moment festhalten, bevor sich Einstellungen än&amp;dern oder Gesichertes verworfen wird</translation>
    </message>
    <message>
        <source>They take %1 now, and what disks keep for them, which is not known: %2</source>
        <translation>Sie belegen jetzt %1 und das, was Festplatten für sie aufheben, was nicht bekannt ist: %2</translation>
    </message>
    <message>
        <source>They take %1 now.</source>
        <translation>Sie belegen jetzt %1.</translation>
    </message>
    <message>
        <source>They take %1 now; %2 of that is what disks keep for them.</source>
        <translation>Sie belegen jetzt %1; davon heben Festplatten %2 für sie auf.</translation>
    </message>
</context>
<context>
    <name>ui::TimelinePanel</name>
    <message>
        <source>Kept. The machine stood still for %1 ms.</source>
        <translation>Festgehalten. Die Maschine stand %1 ms still.</translation>
    </message>
    <message>
        <source>Moment %1</source>
        <translation>Moment %1</translation>
    </message>
    <message>
        <source>Go back anyway</source>
        <translation>Trotzdem zurückgehen</translation>
    </message>
    <message>
        <source>“%1” is deleted.</source>
        <translation>„%1“ ist gelöscht.</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>Rückgängig</translation>
    </message>
    <message>
        <source>Go back to this moment</source>
        <translation>Zu diesem Moment zurückgehen</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>Umbenennen</translation>
    </message>
    <message>
        <source>Note</source>
        <translation>Notiz</translation>
    </message>
    <message>
        <source>Delete</source>
        <translation>Löschen</translation>
    </message>
    <message>
        <source>Bring “%1” back</source>
        <translation>„%1“ zurückholen</translation>
    </message>
    <message>
        <source>Keep this moment</source>
        <translation>Diesen Moment festhalten</translation>
    </message>
    <message>
        <source>Keep this moment, and come back to it at any time.</source>
        <translation>Halten Sie diesen Moment fest, und kommen Sie jederzeit zu ihm zurück.</translation>
    </message>
    <message>
        <source>Timeline</source>
        <translation>Zeitleiste</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Save</source>
        <translation>Speichern</translation>
    </message>
    <message>
        <source>Name</source>
        <translation>Name</translation>
    </message>
    <message>
        <source>Name of the moment</source>
        <translation>Name des Moments</translation>
    </message>
    <message>
        <source>Note on the moment</source>
        <translation>Notiz zum Moment</translation>
    </message>
    <message>
        <source>Closer (+)</source>
        <translation>Näher (+)</translation>
    </message>
    <message>
        <source>Farther (−)</source>
        <translation>Weiter weg (−)</translation>
    </message>
    <message>
        <source>Unpin</source>
        <translation>Lösen</translation>
    </message>
    <message>
        <source>Pin</source>
        <translation>Anheften</translation>
    </message>
    <message>
        <source>Mark for comparing</source>
        <translation>Zum Vergleichen markieren</translation>
    </message>
    <message>
        <source>Unmark</source>
        <translation>Markierung aufheben</translation>
    </message>
    <message>
        <source>Compare with “%1”</source>
        <translation>Mit „%1“ vergleichen</translation>
    </message>
    <message>
        <source>Marked. Space on another moment compares the two.</source>
        <translation>Markiert. Die Leertaste auf einem anderen Moment vergleicht die beiden.</translation>
    </message>
    <message>
        <source>Kept.</source>
        <translation>Festgehalten.</translation>
    </message>
    <message>
        <source>The machine has crashed, so its present cannot be kept first: what its memory and disks hold now would be lost.</source>
        <translation>Die Maschine ist abgestürzt, darum lässt sich die Gegenwart nicht vorher festhalten: Was ihr Speicher und ihre Festplatten jetzt enthalten, ginge verloren.</translation>
    </message>
    <message>
        <source>Fork: another machine from this moment</source>
        <translation>Abzweigen: eine weitere Maschine aus diesem Moment</translation>
    </message>
    <message>
        <source>Fork: another machine from now</source>
        <translation>Abzweigen: eine weitere Maschine ab jetzt</translation>
    </message>
    <message>
        <source>The machine was off.</source>
        <translation>Die Maschine war aus.</translation>
    </message>
    <message>
        <source>This moment has no picture.</source>
        <translation>Dieser Moment hat kein Bild.</translation>
    </message>
    <message>
        <source>Enter goes back · Esc: now · F forks · Del deletes · Space compares · R renames · N notes · P pins · E exports</source>
        <translation>Eingabe geht zurück · Esc: jetzt · F zweigt ab · Entf löscht · Leertaste vergleicht · R benennt um · N notiert · P heftet an · E exportiert</translation>
    </message>
    <message>
        <source>No moments yet.</source>
        <translation>Noch keine Momente.</translation>
    </message>
    <message>
        <source>Why?</source>
        <translation>Warum?</translation>
    </message>
    <message>
        <source>Why moments cannot be read</source>
        <translation>Warum Momente sich nicht lesen lassen</translation>
    </message>
    <message>
        <source>Export “%1” as one file</source>
        <translation>„%1“ als eine Datei exportieren</translation>
    </message>
    <message>
        <source>Export “%1” as a folder</source>
        <translation>„%1“ als Ordner exportieren</translation>
    </message>
    <message>
        <source>Export as one file…</source>
        <translation>Als eine Datei exportieren …</translation>
    </message>
    <message>
        <source>Export as a folder…</source>
        <translation>Als Ordner exportieren …</translation>
    </message>
    <message>
        <source>Import a moment as a machine…</source>
        <translation>Einen Moment als Maschine importieren …</translation>
    </message>
    <message>
        <source>The moment is in %1.</source>
        <translation>Der Moment liegt in %1.</translation>
    </message>
    <message>
        <source>Moments, their size on the disk, how much memory changes a second, and what a moment would take on the disk now</source>
        <translation>Momente, ihre Größe auf der Festplatte, wie viel Speicher sich in der Sekunde ändert, und was ein Moment jetzt auf der Festplatte bräuchte</translation>
    </message>
</context>
<context>
    <name>ui::TrashCard</name>
    <message>
        <source>Bring back</source>
        <translation>Zurückholen</translation>
    </message>
    <message>
        <source>Bring “%1” back</source>
        <translation>„%1“ zurückholen</translation>
    </message>
    <message>
        <source>The trash is being emptied …</source>
        <translation>Der Papierkorb wird geleert …</translation>
    </message>
    <message>
        <source>There are no removed machines. One that is removed can be had back for 30 days.</source>
        <translation>Es gibt keine entfernten Maschinen. Eine entfernte ist noch 30 Tage lang zurückzuholen.</translation>
    </message>
    <message>
        <source>Removed machines take %1. They are deleted after 30 days.</source>
        <translation>Entfernte Maschinen belegen %1. Nach 30 Tagen werden sie gelöscht.</translation>
    </message>
    <message numerus="yes">
        <source>%n image(s) of %1</source>
        <translation>
            <numerusform>%n Abbild von %1</numerusform>
            <numerusform>%n Abbilder von %1</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n entry(s) (%1) will be deleted for good.</source>
        <translation>
            <numerusform>%n Eintrag (%1) wird endgültig gelöscht.</numerusform>
            <numerusform>%n Einträge (%1) werden endgültig gelöscht.</numerusform>
        </translation>
    </message>
    <message>
        <source>&amp;Empty the trash now…</source>
        <translation>&amp;Papierkorb jetzt leeren …</translation>
    </message>
    <message>
        <source>&amp;Keep them</source>
        <translation>&amp;Behalten</translation>
    </message>
    <message>
        <source>&amp;Delete for good</source>
        <translation>&amp;Endgültig löschen</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
</context>
<context>
    <name>ui::Usb</name>
    <message>
        <source>everything with sound</source>
        <translation>alles mit Ton</translation>
    </message>
    <message>
        <source>network and serial adapters</source>
        <translation>Netzwerk- und serielle Adapter</translation>
    </message>
    <message>
        <source>keyboards, pointers and other input devices</source>
        <translation>Tastaturen, Zeiger und andere Eingabegeräte</translation>
    </message>
    <message>
        <source>cameras and phones</source>
        <translation>Kameras und Telefone</translation>
    </message>
    <message>
        <source>printers</source>
        <translation>Drucker</translation>
    </message>
    <message>
        <source>disks and memory sticks</source>
        <translation>Festplatten und Speichersticks</translation>
    </message>
    <message>
        <source>smart card readers</source>
        <translation>Chipkartenleser</translation>
    </message>
    <message>
        <source>webcams</source>
        <translation>Webcams</translation>
    </message>
    <message>
        <source>wireless adapters</source>
        <translation>Funkadapter</translation>
    </message>
    <message>
        <source>class %1</source>
        <translation>Klasse %1</translation>
    </message>
    <message>
        <source>USB keyboard</source>
        <translation>USB-Tastatur</translation>
    </message>
    <message>
        <source>USB mouse</source>
        <translation>USB-Maus</translation>
    </message>
    <message>
        <source>USB tablet</source>
        <translation>USB-Tablett</translation>
    </message>
    <message>
        <source>USB hub</source>
        <translation>USB-Hub</translation>
    </message>
    <message>
        <source>USB serial port</source>
        <translation>Serielle USB-Schnittstelle</translation>
    </message>
    <message>
        <source>1.5 Mbit/s</source>
        <translation>1,5 Mbit/s</translation>
    </message>
    <message>
        <source>12 Mbit/s</source>
        <translation>12 Mbit/s</translation>
    </message>
    <message>
        <source>480 Mbit/s</source>
        <translation>480 Mbit/s</translation>
    </message>
    <message>
        <source>5 Gbit/s</source>
        <translation>5 Gbit/s</translation>
    </message>
    <message>
        <source>Port %1</source>
        <translation>Anschluss %1</translation>
    </message>
    <message>
        <source>serial number %1</source>
        <translation>Seriennummer %1</translation>
    </message>
    <message>
        <source>the only keyboard of this computer</source>
        <translation>einzige Tastatur dieses Rechners</translation>
    </message>
    <message>
        <source>a keyboard of this computer</source>
        <translation>Tastatur dieses Rechners</translation>
    </message>
    <message>
        <source>the only pointer of this computer</source>
        <translation>einziger Zeiger dieses Rechners</translation>
    </message>
    <message>
        <source>a pointer of this computer</source>
        <translation>Zeiger dieses Rechners</translation>
    </message>
    <message>
        <source>mounted at %1</source>
        <translation>eingehängt in %1</translation>
    </message>
    <message>
        <source>network %1 of this computer</source>
        <translation>Netzwerk %1 dieses Rechners</translation>
    </message>
    <message>
        <source>in use (%1)</source>
        <translation>in Benutzung (%1)</translation>
    </message>
    <message>
        <source>It is the only keyboard of this computer: it would type in the machine alone.</source>
        <translation>Es ist die einzige Tastatur dieses Rechners: Sie schriebe dann nur noch in der Maschine.</translation>
    </message>
    <message>
        <source>It is a keyboard of this computer, and would type in the machine alone.</source>
        <translation>Es ist eine Tastatur dieses Rechners und schriebe dann nur noch in der Maschine.</translation>
    </message>
    <message>
        <source>It is the only pointer of this computer: it would move in the machine alone.</source>
        <translation>Es ist der einzige Zeiger dieses Rechners: Er bewegte sich dann nur noch in der Maschine.</translation>
    </message>
    <message>
        <source>It is a pointer of this computer, and would move in the machine alone.</source>
        <translation>Es ist ein Zeiger dieses Rechners und bewegte sich dann nur noch in der Maschine.</translation>
    </message>
    <message>
        <source>It is mounted at %1: what is not written yet would be lost. Eject it first.</source>
        <translation>Es ist in %1 eingehängt: Was noch nicht geschrieben ist, ginge verloren. Werfen Sie es zuerst aus.</translation>
    </message>
    <message>
        <source>A disk of it is in use (%1), and would be gone at once.</source>
        <translation>Ein Datenträger davon ist in Benutzung (%1) und wäre sofort weg.</translation>
    </message>
    <message>
        <source>It is the only network connection of this computer (%1).</source>
        <translation>Es ist die einzige Netzwerkverbindung dieses Rechners (%1).</translation>
    </message>
    <message>
        <source>It is a network connection of this computer (%1), which would end.</source>
        <translation>Es ist eine Netzwerkverbindung dieses Rechners (%1), die dann endete.</translation>
    </message>
    <message>
        <source>A program has its port open (%1), and would lose it.</source>
        <translation>Ein Programm hat seine Schnittstelle offen (%1) und verlöre sie.</translation>
    </message>
    <message>
        <source>A rule says that it stays on this computer.</source>
        <translation>Eine Regel sagt, dass es an diesem Rechner bleibt.</translation>
    </message>
    <message>
        <source>Unplugged and plugged in anew: %1.</source>
        <translation>Aus- und neu eingesteckt: %1.</translation>
    </message>
    <message>
        <source>Unplugged: %1.</source>
        <translation>Ausgesteckt: %1.</translation>
    </message>
    <message>
        <source>Unplugged, and you are asked about it then: %1.</source>
        <translation>Ausgesteckt, und Sie werden dann danach gefragt: %1.</translation>
    </message>
    <message>
        <source>every device</source>
        <translation>jedes Gerät</translation>
    </message>
    <message>
        <source>everything of maker %1</source>
        <translation>alles des Herstellers %1</translation>
    </message>
    <message>
        <source>plugged in at %1</source>
        <translation>eingesteckt an %1</translation>
    </message>
    <message>
        <source>every one of this model</source>
        <translation>jedes dieses Modells</translation>
    </message>
    <message>
        <source>Loudspeakers and microphone</source>
        <translation>Lautsprecher und Mikrofon</translation>
    </message>
    <message>
        <source>Gamepad</source>
        <translation>Gamepad</translation>
    </message>
    <message>
        <source>“%1” from %2</source>
        <translation>„%1“ von %2</translation>
    </message>
    <message>
        <source>Unplugged, and not here after that: %1.</source>
        <translation>Ausgesteckt, und danach nicht hier: %1.</translation>
    </message>
    <message>
        <source>USB devices do not travel with it: %1.</source>
        <translation>USB-Geräte reisen nicht mit: %1.</translation>
    </message>
</context>
<context>
    <name>ui::UsbBar</name>
    <message>
        <source>“%1” has been plugged in.</source>
        <translation>„%1“ wurde eingesteckt.</translation>
    </message>
    <message>
        <source>“%1” was in the machine before, and is unplugged now.</source>
        <translation>„%1“ war vorher in der Maschine und ist jetzt ausgesteckt.</translation>
    </message>
    <message>
        <source>“%1” is to come into the machine. %2</source>
        <translation>„%1“ soll in die Maschine. %2</translation>
    </message>
    <message>
        <source>&amp;Attach to %1</source>
        <translation>An %1 &amp;anschließen</translation>
    </message>
    <message>
        <source>&amp;Attach again</source>
        <translation>Wieder &amp;anschließen</translation>
    </message>
    <message>
        <source>&amp;Attach anyway</source>
        <translation>Trotzdem &amp;anschließen</translation>
    </message>
    <message>
        <source>&amp;Keep on this computer</source>
        <translation>An diesem Rechner be&amp;halten</translation>
    </message>
    <message>
        <source>A&amp;lways do this</source>
        <translation>Immer &amp;so</translation>
    </message>
    <message numerus="yes">
        <source>%n more</source>
        <translation>
            <numerusform>noch %n</numerusform>
            <numerusform>noch %n</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ui::UsbControl</name>
    <message>
        <source>Of this computer</source>
        <translation>Von diesem Rechner</translation>
    </message>
    <message>
        <source>No USB device is plugged into this computer.</source>
        <translation>An diesem Rechner ist kein USB-Gerät eingesteckt.</translation>
    </message>
    <message>
        <source>The machine&apos;s own</source>
        <translation>Der Maschine eigen</translation>
    </message>
    <message>
        <source>Add</source>
        <translation>Hinzufügen</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <source>Show beside the screen</source>
        <translation>Neben dem Bildschirm zeigen</translation>
    </message>
    <message>
        <source>Rules…</source>
        <translation>Regeln …</translation>
    </message>
    <message>
        <source>A stick from an image…</source>
        <translation>Ein Stick aus einem Abbild …</translation>
    </message>
    <message>
        <source>Add a stick</source>
        <translation>Einen Stick hinzufügen</translation>
    </message>
    <message>
        <source>Disk images (*.img *.raw *.qcow2 *.iso)</source>
        <translation>Festplattenabbilder (*.img *.raw *.qcow2 *.iso)</translation>
    </message>
    <message>
        <source>All files (*)</source>
        <translation>Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Unplug “%1”</source>
        <translation>„%1“ ausstecken</translation>
    </message>
    <message>
        <source>Detach “%1”</source>
        <translation>„%1“ trennen</translation>
    </message>
    <message>
        <source>Plug in “%1”</source>
        <translation>„%1“ einstecken</translation>
    </message>
    <message>
        <source>Attach “%1”</source>
        <translation>„%1“ anschließen</translation>
    </message>
    <message>
        <source>Drop it here to attach “%1” to %2</source>
        <translation>Hier ablegen, um „%1“ an %2 anzuschließen</translation>
    </message>
    <message>
        <source>Chronovisor&apos;s package brings a rule for that. Without it, until the device is plugged out, this helps in a terminal: sudo setfacl -m u:%1:rw %2</source>
        <translation>Das Paket von Chronovisor bringt dafür eine Regel mit. Ohne sie hilft, bis das Gerät ausgesteckt wird, in einem Terminal: sudo setfacl -m u:%1:rw %2</translation>
    </message>
    <message>
        <source>Of other computers</source>
        <translation>Von anderen Rechnern</translation>
    </message>
    <message>
        <source>Do not wait at “%1” any more</source>
        <translation>Nicht mehr an „%1“ warten</translation>
    </message>
    <message>
        <source>From another computer…</source>
        <translation>Von einem anderen Rechner …</translation>
    </message>
    <message>
        <source>The USB device “%1” (%2) is gone.</source>
        <translation>Das USB-Gerät „%1“ (%2) ist weg.</translation>
    </message>
</context>
<context>
    <name>ui::UsbMatchField</name>
    <message>
        <source>This is not saved yet. Choose “%1” or “%2” first.</source>
        <translation>Das ist noch nicht gespeichert. Wählen Sie zuerst „%1“ oder „%2“.</translation>
    </message>
    <message>
        <source>That does not say which devices are meant.</source>
        <translation>Das sagt nicht, welche Geräte gemeint sind.</translation>
    </message>
    <message>
        <source>Which devices are meant instead of: %1</source>
        <translation>Welche Geräte gemeint sind statt: %1</translation>
    </message>
    <message>
        <source>Which devices the rule is about</source>
        <translation>Für welche Geräte die Regel gilt</translation>
    </message>
    <message>
        <source>VENDOR:PRODUCT as lsusb tells it, such as 0951:1666, or 0951:* for all of that maker. class=08, port=1-2.3 and serial=AB12 can stand alone or after it, with commas between them and the serial number last.</source>
        <translation>HERSTELLER:PRODUKT, wie lsusb es nennt, etwa 0951:1666, oder 0951:* für alle dieses Herstellers. class=08, port=1-2.3 und serial=AB12 können allein oder dahinter stehen, mit Kommas dazwischen und der Seriennummer zuletzt.</translation>
    </message>
    <message>
        <source>&amp;Back</source>
        <translation>&amp;Zurück</translation>
    </message>
    <message>
        <source>&amp;Change</source>
        <translation>Ä&amp;ndern</translation>
    </message>
    <message>
        <source>&amp;Add</source>
        <translation>&amp;Hinzufügen</translation>
    </message>
</context>
<context>
    <name>ui::UsbModel</name>
    <message>
        <source>Looking for USB devices…</source>
        <translation>USB-Geräte werden gesucht …</translation>
    </message>
    <message>
        <source>The USB devices of this computer cannot be used here.</source>
        <translation>Die USB-Geräte dieses Rechners sind hier nicht zu benutzen.</translation>
    </message>
    <message>
        <source>The machine has no USB controller: give it one in its settings.</source>
        <translation>Die Maschine hat keinen USB-Controller: Geben Sie ihr in den Einstellungen einen.</translation>
    </message>
    <message>
        <source>Restore the machine first.</source>
        <translation>Stellen Sie zuerst die Maschine wieder her.</translation>
    </message>
    <message>
        <source>Giving it back…</source>
        <translation>Wird zurückgegeben …</translation>
    </message>
    <message>
        <source>Removing…</source>
        <translation>Wird entfernt …</translation>
    </message>
    <message>
        <source>Attaching…</source>
        <translation>Wird angeschlossen …</translation>
    </message>
    <message>
        <source>in “%1”</source>
        <translation>in „%1“</translation>
    </message>
    <message>
        <source>“%1” has it: give it back there first.</source>
        <translation>„%1“ hat es: Geben Sie es zuerst dort zurück.</translation>
    </message>
    <message>
        <source>used as %1</source>
        <translation>benutzt als %1</translation>
    </message>
    <message>
        <source>stays on this computer</source>
        <translation>bleibt an diesem Rechner</translation>
    </message>
    <message>
        <source>always in this machine</source>
        <translation>immer in dieser Maschine</translation>
    </message>
    <message>
        <source>always in “%1”</source>
        <translation>immer in „%1“</translation>
    </message>
    <message>
        <source>Unplugged</source>
        <translation>Ausgesteckt</translation>
    </message>
    <message>
        <source>Memory stick</source>
        <translation>Speicherstick</translation>
    </message>
    <message>
        <source>What is passed on to here is plugged in</source>
        <translation>Was hierher weitergereicht wird, wird eingesteckt</translation>
    </message>
    <message>
        <source>from %1</source>
        <translation>von %1</translation>
    </message>
    <message>
        <source>Restore the machine to plug something in.</source>
        <translation>Stellen Sie die Maschine wieder her, um etwas einzustecken.</translation>
    </message>
    <message>
        <source>Start the machine to plug something in.</source>
        <translation>Starten Sie die Maschine, um etwas einzustecken.</translation>
    </message>
</context>
<context>
    <name>ui::UsbPanel</name>
    <message>
        <source>USB</source>
        <translation>USB</translation>
    </message>
    <message>
        <source>Add</source>
        <translation>Hinzufügen</translation>
    </message>
    <message>
        <source>A stick, or another device of the machine&apos;s own</source>
        <translation>Ein Stick oder ein anderes Gerät, das der Maschine gehört</translation>
    </message>
    <message>
        <source>Rules…</source>
        <translation>Regeln …</translation>
    </message>
    <message>
        <source>What happens with a device when it is plugged in</source>
        <translation>Was mit einem Gerät geschieht, wenn es eingesteckt wird</translation>
    </message>
    <message>
        <source>In the machine</source>
        <translation>In der Maschine</translation>
    </message>
    <message>
        <source>On this computer</source>
        <translation>An diesem Rechner</translation>
    </message>
    <message>
        <source>No other USB device is plugged in.</source>
        <translation>Kein weiteres USB-Gerät ist eingesteckt.</translation>
    </message>
    <message>
        <source>The machine&apos;s own</source>
        <translation>Der Maschine eigen</translation>
    </message>
    <message>
        <source>From other computers</source>
        <translation>Von anderen Rechnern</translation>
    </message>
    <message>
        <source>Waiting for devices of other computers</source>
        <translation>Wartet auf Geräte anderer Rechner</translation>
    </message>
    <message>
        <source>From another computer…</source>
        <translation>Von einem anderen Rechner …</translation>
    </message>
    <message>
        <source>A USB device that another computer passes on</source>
        <translation>Ein USB-Gerät, das ein anderer Rechner weiterreicht</translation>
    </message>
    <message>
        <source>No USB device is plugged in.</source>
        <translation>Kein USB-Gerät ist eingesteckt.</translation>
    </message>
</context>
<context>
    <name>ui::UsbRedirectCard</name>
    <message>
        <source>Connecting…</source>
        <translation>Verbindung wird aufgebaut …</translation>
    </message>
    <message>
        <source>A USB device of another computer</source>
        <translation>Ein USB-Gerät eines anderen Rechners</translation>
    </message>
    <message>
        <source>Connect to the computer that has it</source>
        <translation>Mit dem Rechner verbinden, der es hat</translation>
    </message>
    <message>
        <source>Wait until that computer connects</source>
        <translation>Warten, bis der andere Rechner sich verbindet</translation>
    </message>
    <message>
        <source>&amp;Address:</source>
        <translation>&amp;Adresse:</translation>
    </message>
    <message>
        <source>Address</source>
        <translation>Adresse</translation>
    </message>
    <message>
        <source>Start this on the other computer as soon as the machine waits.</source>
        <translation>Starten Sie dies auf dem anderen Rechner, sobald die Maschine wartet.</translation>
    </message>
    <message>
        <source>Start this on the other computer first.</source>
        <translation>Starten Sie zuerst dies auf dem anderen Rechner.</translation>
    </message>
    <message>
        <source>There lsusb tells what to write for VENDOR:PRODUCT, and Debian&apos;s package usbredirect has the command.</source>
        <translation>Was für VENDOR:PRODUCT einzusetzen ist, sagt dort lsusb; der Befehl ist in Debians Paket usbredirect.</translation>
    </message>
    <message>
        <source>What to start on the other computer</source>
        <translation>Was auf dem anderen Rechner zu starten ist</translation>
    </message>
    <message>
        <source>Copy what to start on the other computer</source>
        <translation>Kopieren, was auf dem anderen Rechner zu starten ist</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Nothing is encrypted, and at 0.0.0.0 whoever reaches this computer can plug something in. A port alone is only for this computer, such as for a tunnel (ssh -R).</source>
        <translation>Nichts wird verschlüsselt, und bei 0.0.0.0 kann jeder etwas anschließen, der diesen Rechner erreicht. Ein Port allein gilt nur für diesen Rechner, etwa für einen Tunnel (ssh -R).</translation>
    </message>
    <message>
        <source>Nothing is encrypted. Where that matters, take a tunnel (ssh -L) and write its port alone.</source>
        <translation>Nichts wird verschlüsselt. Wo das wichtig ist, nehmen Sie einen Tunnel (ssh -L) und schreiben nur dessen Port.</translation>
    </message>
    <message>
        <source>&amp;Back</source>
        <translation>&amp;Zurück</translation>
    </message>
    <message>
        <source>&amp;Wait</source>
        <translation>&amp;Warten</translation>
    </message>
    <message>
        <source>&amp;Connect</source>
        <translation>&amp;Verbinden</translation>
    </message>
</context>
<context>
    <name>ui::UsbRowView</name>
    <message>
        <source>Unplug it from the machine</source>
        <translation>Aus der Maschine ausstecken</translation>
    </message>
    <message>
        <source>Remove %1</source>
        <translation>%1 entfernen</translation>
    </message>
    <message>
        <source>Take it away from the machine</source>
        <translation>Der Maschine wegnehmen</translation>
    </message>
    <message>
        <source>Give it back to this computer</source>
        <translation>An diesen Rechner zurückgeben</translation>
    </message>
    <message>
        <source>Plug it into the machine</source>
        <translation>In die Maschine einstecken</translation>
    </message>
    <message>
        <source>Give it back to the other computer</source>
        <translation>Dem anderen Rechner zurückgeben</translation>
    </message>
    <message>
        <source>Do not wait there any more</source>
        <translation>Dort nicht mehr warten</translation>
    </message>
</context>
<context>
    <name>ui::UsbRuleRow</name>
    <message>
        <source>Ask each time</source>
        <translation>Jedes Mal fragen</translation>
    </message>
    <message>
        <source>Stays on this computer</source>
        <translation>Bleibt an diesem Rechner</translation>
    </message>
    <message>
        <source>Always into “%1”</source>
        <translation>Immer in „%1“</translation>
    </message>
    <message>
        <source>Into a machine that is not here</source>
        <translation>In eine Maschine, die nicht hier ist</translation>
    </message>
    <message>
        <source>What happens with %1</source>
        <translation>Was mit %1 geschieht</translation>
    </message>
    <message>
        <source>Remove the rule for %1</source>
        <translation>Die Regel für %1 entfernen</translation>
    </message>
    <message>
        <source>Change which devices are meant: %1</source>
        <translation>Ändern, welche Geräte gemeint sind: %1</translation>
    </message>
</context>
<context>
    <name>ui::UsbRulesCard</name>
    <message>
        <source>The rules cannot be read, and none holds. %1 Mend or remove the file %2.</source>
        <translation>Die Regeln sind nicht zu lesen, und keine gilt. %1 Berichtigen oder entfernen Sie die Datei %2.</translation>
    </message>
    <message>
        <source>This one only (%1)</source>
        <translation>Nur dieses (%1)</translation>
    </message>
    <message>
        <source>Every one of this model (%1)</source>
        <translation>Jedes dieses Modells (%1)</translation>
    </message>
    <message>
        <source>Whatever is plugged in here (port %1)</source>
        <translation>Was immer hier eingesteckt wird (Anschluss %1)</translation>
    </message>
    <message>
        <source>All of its kind: %1</source>
        <translation>Alle dieser Art: %1</translation>
    </message>
    <message>
        <source>All devices without another rule</source>
        <translation>Alle Geräte ohne andere Regel</translation>
    </message>
    <message>
        <source>What happens when a USB device is plugged in, or a machine starts. Of several rules that fit, the most exact one holds; without any you are asked while a machine has the focus.</source>
        <translation>Was geschieht, wenn ein USB-Gerät eingesteckt wird oder eine Maschine startet. Von mehreren passenden Regeln gilt die genaueste; ohne eine werden Sie gefragt, während eine Maschine im Vordergrund ist.</translation>
    </message>
    <message>
        <source>Add a rule for…</source>
        <translation>Eine Regel hinzufügen für …</translation>
    </message>
    <message>
        <source>There is a rule for these devices already.</source>
        <translation>Für diese Geräte gibt es schon eine Regel.</translation>
    </message>
    <message>
        <source>No rule takes every device into a machine: say which ones it takes.</source>
        <translation>Keine Regel holt jedes Gerät in eine Maschine: Sagen Sie, welche gemeint sind.</translation>
    </message>
    <message>
        <source>Every device of this maker (%1)</source>
        <translation>Jedes Gerät dieses Herstellers (%1)</translation>
    </message>
    <message>
        <source>Plug a device in to make a rule for it.</source>
        <translation>Stecken Sie ein Gerät ein, um eine Regel dafür zu machen.</translation>
    </message>
    <message>
        <source>Another device…</source>
        <translation>Ein anderes Gerät …</translation>
    </message>
</context>
<context>
    <name>ui::Words</name>
    <message>
        <source>Off</source>
        <translation>Aus</translation>
    </message>
    <message>
        <source>Suspended</source>
        <translation>Gesichert</translation>
    </message>
    <message>
        <source>Starting …</source>
        <translation>Startet …</translation>
    </message>
    <message>
        <source>Restoring …</source>
        <translation>Wird wiederhergestellt …</translation>
    </message>
    <message>
        <source>Running</source>
        <translation>Läuft</translation>
    </message>
    <message>
        <source>Paused</source>
        <translation>Pausiert</translation>
    </message>
    <message>
        <source>Suspending …</source>
        <translation>Wird gesichert …</translation>
    </message>
    <message>
        <source>Crashed</source>
        <translation>Abgestürzt</translation>
    </message>
    <message>
        <source>Working …</source>
        <translation>Arbeitet …</translation>
    </message>
    <message>
        <source>Keeping a moment …</source>
        <translation>Moment wird festgehalten …</translation>
    </message>
    <message>
        <source>Forking …</source>
        <translation>Wird abgezweigt …</translation>
    </message>
    <message>
        <source>Checking its moments …</source>
        <translation>Momente werden geprüft …</translation>
    </message>
    <message>
        <source>Giving back what its moments took …</source>
        <translation>Platz der Momente wird freigegeben …</translation>
    </message>
    <message>
        <source>Comparing moments …</source>
        <translation>Momente werden verglichen …</translation>
    </message>
    <message>
        <source>Exporting a moment …</source>
        <translation>Moment wird exportiert …</translation>
    </message>
    <message>
        <source>Making a disk independent …</source>
        <translation>Eine Festplatte wird unabhängig gemacht …</translation>
    </message>
    <message>
        <source>Merging the files of a disk …</source>
        <translation>Die Dateien einer Festplatte werden vereinigt …</translation>
    </message>
    <message>
        <source>In use by another program (process %1)</source>
        <translation>Von einem anderen Programm benutzt (Prozess %1)</translation>
    </message>
    <message>
        <source>In use by another program</source>
        <translation>Von einem anderen Programm benutzt</translation>
    </message>
    <message>
        <source>“%1”</source>
        <translation>„%1“</translation>
    </message>
    <message>
        <source>Making a disk larger …</source>
        <translation>Eine Festplatte wird vergrößert …</translation>
    </message>
</context>
<context>
    <name>ui::WorkLine</name>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
</context>
</TS>
