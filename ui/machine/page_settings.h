#pragma once

#include "app/settings/settings.h"

/// How a machine's page was left: the same for all machines, but for what its guest is set up with.
namespace ui::settings {

inline app::Setting<bool> const showConsoles { "ui/showConsoles", true };
inline app::Setting<bool> const showInspector { "ui/showInspector", false };
inline app::Setting<int> const screenZoom { "ui/screenZoom", 0 };
inline app::Setting<QByteArray> const machineColumns { "ui/machineColumns", {} };
inline app::Setting<QByteArray> const machineRows { "ui/machineRows", {} };

/// Keyboard layouts by machine; one that has none here has the host's.
inline app::Setting<QVariantMap> const guestLayouts { "ui/guestLayouts", {} };

inline void setGuestLayout(QString const& machine, QVariant const& layout)
{
    auto all = guestLayouts();
    all[machine] = layout;
    guestLayouts.set(all);
}

}
