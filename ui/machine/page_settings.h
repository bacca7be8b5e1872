#pragma once

#include "app/settings/settings.h"

/// How a machine's page was left; the same for all machines.
namespace ui::settings {

inline app::Setting<bool> const showConsoles { "ui/showConsoles", true };
inline app::Setting<bool> const showInspector { "ui/showInspector", false };
inline app::Setting<int> const screenZoom { "ui/screenZoom", 0 };
inline app::Setting<QString> const guestLayout { "ui/guestLayout", {} }; ///< empty: the host's
inline app::Setting<QByteArray> const machineColumns { "ui/machineColumns", {} };
inline app::Setting<QByteArray> const machineRows { "ui/machineRows", {} };

}
