"""Monte Carlo of alloys: which element sits where, at a temperature."""
