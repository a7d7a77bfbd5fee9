"""Class tables: `id:name:rrggbb` entries, as facts from the ScanNet repository.

NYU40: ids and names of scannetv2-labels.combined.tsv, colours of the ScanNet visualiser (BenchmarkScripts/util.py).
ScanNet200: BenchmarkScripts/ScanNet200/scannet200_constants.py and scannet200_splits.py, commit 520d564;
Rozenberszki et al., "Language-Grounded Indoor 3D Semantic Segmentation in the Wild", ECCV 2022.
"""

NYU40_ROWS = """
1:wall:aec7e8; 2:floor:98df8a; 3:cabinet:1f77b4; 4:bed:ffbb78; 5:chair:bcbd22; 6:sofa:8c564b;
7:table:ff9896; 8:door:d62728; 9:window:c5b0d5; 10:bookshelf:9467bd; 11:picture:c49c94;
12:counter:17becf; 13:blinds:b24c4c; 14:desk:f7b6d2; 15:shelves:42bc66; 16:curtain:dbdb8d;
17:dresser:8c39c5; 18:pillow:cab934; 19:mirror:33b0cb; 20:floor mat:c83683; 21:clothes:5cc13d;
22:ceiling:4e47b7; 23:books:ac7252; 24:refrigerator:ff7f0e; 25:television:5ba38a;
26:paper:99629c; 27:towel:8c9965; 28:shower curtain:9edae5; 29:box:647d9a; 30:whiteboard:b27f87;
31:person:78b980; 32:night stand:926fc2; 33:toilet:2ca02c; 34:sink:708090; 35:lamp:60cfd1;
36:bathtub:e377c2; 37:bag:d55cb0; 38:otherstructure:5e6ad3; 39:otherfurniture:5254a3;
40:otherprop:645590
"""

SCANNET200_ROWS = {"head": "1:wall:aec7e8", "common": "32:cushion:220e82", "tail": "67:paper:76ae4c"}
