#pragma once

#include "app/settings/settings.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"
#include "tests/ui/find_by_text.h"
#include "ui/main_window/main_window.h"
#include "ui/settings/machine_settings_page.h"

#include <QTemporaryDir>

namespace tests {

/// A window over a library of machines that only go through the motions, with a directory of its own.
struct Desk {
    QTemporaryDir directory;
    std::shared_ptr<tests::FakeMachine::Script> script = std::make_shared<tests::FakeMachine::Script>();
    std::unique_ptr<app::Library> library;
    std::unique_ptr<ui::MainWindow> window;

    Desk()
    {
        app::usePreferencesFile(directory.filePath("preferences"));
        library = std::make_unique<app::Library>(directory.filePath("data"), tests::FakeMachine::factory(script));
    }
    void open()
    {
        window = std::make_unique<ui::MainWindow>(*library, directory.filePath("demo.elf"));
        window->show();
        QVERIFY(QTest::qWaitForWindowActive(window.get()));
    }
    QString create(std::string const& name)
    {
        QString id;
        app::MachineRequest request;
        request.config = tests::exampleConfig(name);
        request.config.uuid.clear();
        request.config.networks = { { "net0", {}, vmm::NetworkMode::User, {} } };
        library->create(request, [&](vmm::Result<QString> made) { id = made ? *made : QStringLiteral("failed"); });
        if (!becomes([&] { return !id.isEmpty(); }))
            return {};
        return id;
    }
    bool change(vmm::VmConfig const& config)
    {
        std::optional<vmm::Result<>> saved;
        library->changeSettings(config, {}, {}, [&](vmm::Result<> const& outcome) { saved = outcome; });
        return becomes([&] { return saved.has_value(); }) && *saved;
    }
    ui::MachineSettingsPage* settings(QString const& id)
    {
        window->showSettings(id);
        return qobject_cast<ui::MachineSettingsPage*>(window->currentPage());
    }
    /// The control that a screen reader calls so; rows are made anew when a disk's size is known, and leave their old
    /// ones hidden for a moment.
    template<typename Widget>
    Widget* named(QWidget* page, QString const& name)
    {
        Widget* found = nullptr;
        auto const isThere = [&] {
            for (auto* widget : page->findChildren<Widget*>()) {
                if (widget->accessibleName() == name && widget->isVisibleTo(page))
                    found = widget;
            }
            return found != nullptr;
        };
        QCoreApplication::processEvents(); // new rows are shown then
        if (!becomes(isThere))
            qFatal("there is no %s", qPrintable(name));
        return found;
    }
    app::VmSession& session(QString const& id) const { return *library->session(id); }
    bool waitFor(QString const& id, app::SessionState state) const
    {
        return becomes([&] { return session(id).state() == state; });
    }
    bool start(QString const& id) const
    {
        session(id).start();
        return waitFor(id, app::SessionState::Running);
    }
    bool suspend(QString const& id) const
    {
        session(id).suspend();
        return waitFor(id, app::SessionState::Suspended);
    }
};

}
